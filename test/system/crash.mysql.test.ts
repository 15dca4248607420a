import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FAILPOINTS } from '../../core/failpoint.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';

/** The engine that runs now, once it is another than `before`. */
async function nextEngine(rehearsal: Rehearsal, before?: number): Promise<number> {
  await rehearsal.until(() => rehearsal.switchyard.pids('engine').at(-1) !== before);
  const pid = rehearsal.switchyard.pids('engine').at(-1);
  if (pid === undefined) throw new Error('no engine');
  return pid;
}

test('kill -9 of the engine in the middle of copy and replication: traffic goes on, the import ends equal', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 200_000 });
  const { client } = rehearsal.switchyard;
  await client.createImport(rehearsal.request({ options: { connections: 1 } }));
  const traffic = rehearsal.traffic();
  let engine = await nextEngine(rehearsal);
  for (const share of [0.1, 0.4, 0.8]) {
    await rehearsal.until(
      ({ tables, phase }) => phase === 'running' || sum(tables.map((t) => t.rowsCopied)) > share * 200_000,
    );
    process.kill(engine, 'SIGKILL');
    engine = await nextEngine(rehearsal, engine);
  }
  await rehearsal.reach('running');
  for (let i = 0; i < 3; i += 1) {
    const { streams } = await rehearsal.until(({ streams }) => (streams[0]?.rowChangesApplied ?? 0) > 20);
    expect(streams[0]?.direction).toBe('forward');
    process.kill(engine, 'SIGKILL');
    engine = await nextEngine(rehearsal, engine);
  }
  await client.verify(IMPORT);
  expect((await rehearsal.reach('verified_data')).verify).toMatchObject({ state: 'equal' });
  await client.switchTraffic(IMPORT, { kind: 'primaries' });
  await traffic.stop();
  expect(traffic.errors).toEqual([]);
  expect(await rehearsal.ledger(traffic, rehearsal.target)).toMatchObject({ exact: true, lost: 0 });
});

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

test('the engine killed at every step of copy and apply: the import ends equal', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 20_000 });
  const { switchyard } = rehearsal;
  const { client } = switchyard;
  const steps = FAILPOINTS.filter((name) => !name.startsWith('switch.') && !name.startsWith('lanes.'));
  const kills = steps.map((step) => `${step}=kill:${join(switchyard.dataDir, step)}`);
  await switchyard.stop();
  await switchyard.startProcess({ environment: { SWITCHYARD_FAILPOINTS: kills.join(',') } });
  await client.createImport(rehearsal.request()).catch(() => {});
  const traffic = rehearsal.traffic();
  await rehearsal.reach('running');
  await rehearsal.until(() => steps.every((step) => existsSync(join(switchyard.dataDir, step))));
  await client.verify(IMPORT);
  expect((await rehearsal.reach('verified_data')).verify).toMatchObject({ state: 'equal' });
  await client.switchTraffic(IMPORT, { kind: 'primaries' });
  await traffic.stop();
  expect(traffic.errors).toEqual([]);
  expect(await rehearsal.ledger(traffic, rehearsal.target)).toMatchObject({ exact: true, lost: 0 });
});

test('kill -9 of the supervisor: proxies serve on, accept new clients, and are adopted by the next one', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 5000 });
  const { switchyard } = rehearsal;
  const { client } = switchyard;
  await client.createImport(rehearsal.request());
  const traffic = rehearsal.traffic();
  await rehearsal.reach('running');
  const workers = switchyard.pids('proxy');
  await switchyard.killSupervisor();
  expect(await rehearsal.asApplication('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  await switchyard.startProcess();
  await client.switchTraffic(IMPORT, { kind: 'primaries' });
  expect(switchyard.pids('proxy')).toEqual(workers);
  await traffic.stop();
  expect(traffic.errors).toEqual([]);
});
