import { expect, test } from 'vitest';
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
