import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import type { ImportRequestInput } from '../../admin/client.ts';
import type { Failpoint } from '../../core/failpoint.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';

/** An import whose switches wait at `point` as long as there is the file that is answered. */
async function running(
  rehearsal: Rehearsal,
  point: Failpoint,
  change: Partial<ImportRequestInput> = {},
): Promise<string> {
  const { switchyard } = rehearsal;
  const gate = join(switchyard.dataDir, 'gate');
  await switchyard.stop();
  await switchyard.startProcess({ environment: { SWITCHYARD_FAILPOINTS: `${point}=wait:${gate}` } });
  await switchyard.client.createImport(rehearsal.request(change));
  await rehearsal.reach('running');
  return gate;
}

/** A switch of primaries, behind whose failpoint nothing can be stored before `makeRoom`; `answer`: how it ends. */
async function switchWithoutRoom({ switchyard }: Rehearsal, gate: string, { back = false } = {}) {
  const { client, dataDir } = switchyard;
  writeFileSync(gate, '');
  const answer = client.switchTraffic(IMPORT, { kind: 'primaries', back }).then(
    () => 'switched',
    ({ message }: { message: string }) => message,
  );
  await expect.poll(() => existsSync(`${gate}.reached`), { timeout: 30_000 }).toBe(true);
  const store = new DatabaseSync(join(dataDir, 'state.sqlite'));
  store.exec("CREATE TRIGGER full BEFORE UPDATE ON document BEGIN SELECT RAISE(ABORT, 'no room'); END");
  rmSync(gate);
  return {
    answer,
    makeRoom: () => store.exec('DROP TRIGGER full'),
    [Symbol.dispose]: () => store.close(),
  };
}

test('a switch back that is given up behind its decision, since its end cannot be stored: the new primary is not fenced again', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 500 });
  const { client } = rehearsal.switchyard;
  const gate = await running(rehearsal, 'switch.released', { options: { fence: 'triggers' } });
  await client.switchTraffic(IMPORT, { kind: 'primaries' });
  await rehearsal.caughtUpWith(rehearsal.target);
  using full = await switchWithoutRoom(rehearsal, gate, { back: true });
  expect(await full.answer).toContain('no room');
  // The watch over the fence of the old primary would have looked by now: it is of a side that is primary since.
  for (let look = 0; look < 5; look += 1) {
    expect((await client.doctor(IMPORT)).servers?.source.fenceTriggers).toEqual([]);
    await rehearsal.asApplication('UPDATE traffic_counters SET value = value');
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  full.makeRoom();
  expect(await client.repair(IMPORT)).toMatchObject({ healthy: true, phase: 'running', fence: { side: 'target' } });
});

test('nothing can be stored between fence and decision: traffic waits for as long, is where it was afterwards, and nobody sees an error', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 500 });
  const { switchyard } = rehearsal;
  const { client } = switchyard;
  const gate = await running(rehearsal, 'switch.fenced');
  const traffic = rehearsal.traffic();
  using full = await switchWithoutRoom(rehearsal, gate);
  await expect.poll(() => switchyard.log(), { timeout: 30_000 }).toContain('step claim of a switch failed');
  expect(await client.route()).toMatchObject({ primary: 'source', hold: 'all', fenced: true });
  full.makeRoom();
  expect(await full.answer).toContain('traffic is where it was');
  expect(await client.route()).toMatchObject({ primary: 'source', hold: 'none' });
  await rehearsal.asApplication('UPDATE traffic_counters SET value = value');
  await traffic.stop();
  expect(traffic.errors).toEqual([]);
});
