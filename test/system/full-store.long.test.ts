import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';

test('a switch back that is given up behind its decision, since its end cannot be stored: the new primary is not fenced again', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 500 });
  const { switchyard } = rehearsal;
  const { client, dataDir } = switchyard;
  const gate = join(dataDir, 'gate');
  await switchyard.stop();
  await switchyard.startProcess({ environment: { SWITCHYARD_FAILPOINTS: `switch.released=wait:${gate}` } });
  await client.createImport(rehearsal.request({ options: { fence: 'triggers' } }));
  await rehearsal.reach('running');
  await client.switchTraffic(IMPORT, { kind: 'primaries' });
  await rehearsal.caughtUpWith(rehearsal.target);
  writeFileSync(gate, '');
  const failed = client.switchTraffic(IMPORT, { kind: 'primaries', back: true }).then(
    () => 'switched',
    ({ message }: { message: string }) => message,
  );
  await expect.poll(() => existsSync(`${gate}.reached`), { timeout: 30_000 }).toBe(true);
  using store = new DatabaseSync(join(dataDir, 'state.sqlite'));
  store.exec("CREATE TRIGGER full BEFORE UPDATE ON document BEGIN SELECT RAISE(ABORT, 'no room'); END");
  rmSync(gate);
  expect(await failed).toContain('no room');
  // The watch over the fence of the old primary would have looked by now: it is of a side that is primary since.
  for (let look = 0; look < 5; look += 1) {
    expect((await client.doctor(IMPORT)).servers?.source.fenceTriggers).toEqual([]);
    await rehearsal.asApplication('UPDATE traffic_counters SET value = value');
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  store.exec('DROP TRIGGER full');
  expect(await client.repair(IMPORT)).toMatchObject({ healthy: true, phase: 'running', fence: { side: 'target' } });
});

test('nothing can be stored between fence and decision: traffic waits for as long, is where it was afterwards, and nobody sees an error', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 500 });
  const { switchyard } = rehearsal;
  const { client, dataDir } = switchyard;
  const gate = join(dataDir, 'gate');
  await switchyard.stop();
  await switchyard.startProcess({ environment: { SWITCHYARD_FAILPOINTS: `switch.fenced=wait:${gate}` } });
  await client.createImport(rehearsal.request());
  await rehearsal.reach('running');
  const traffic = rehearsal.traffic();
  writeFileSync(gate, '');
  const failed = client.switchTraffic(IMPORT, { kind: 'primaries' }).then(
    () => 'switched',
    ({ message }: { message: string }) => message,
  );
  await expect.poll(() => existsSync(`${gate}.reached`), { timeout: 30_000 }).toBe(true);
  using store = new DatabaseSync(join(dataDir, 'state.sqlite'));
  store.exec("CREATE TRIGGER full BEFORE UPDATE ON document BEGIN SELECT RAISE(ABORT, 'no room'); END");
  rmSync(gate);
  await expect.poll(() => switchyard.log(), { timeout: 30_000 }).toContain('step claim of a switch failed');
  expect(await client.route()).toMatchObject({ primary: 'source', hold: 'all', fenced: true });
  store.exec('DROP TRIGGER full');
  expect(await failed).toContain('traffic is where it was');
  expect(await client.route()).toMatchObject({ primary: 'source', hold: 'none' });
  await rehearsal.asApplication('UPDATE traffic_counters SET value = value');
  await traffic.stop();
  expect(traffic.errors).toEqual([]);
});
