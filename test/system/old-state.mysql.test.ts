import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { backUp, balance, codes, expectHeld, firstWriter } from '../support/old-state.ts';
import { connect, rows } from '../support/query.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';

const POLL = { timeout: 60_000, interval: 100 };
const WAITS = /traffic waits for the source and the target/g;

test('a state of before a switch, or of before a switch back, is found out before any traffic, and brought to what the servers tell', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 500 });
  const { switchyard, source, target } = rehearsal;
  const { client } = switchyard;
  // No fence that would refuse it: only the marker stands between an old state and the old primary.
  await client.createImport(rehearsal.request({ options: { fence: 'none' } }));
  await rehearsal.reach('running');
  const traffic = rehearsal.traffic();
  const restoreSource = backUp(rehearsal);
  await client.switchTraffic(IMPORT, { kind: 'primaries', force: true });
  const restoreTarget = backUp(rehearsal);
  await traffic.stop();
  expect(traffic.errors).toEqual([]);
  await rehearsal.caughtUpWith(target);

  for (const { restore, primary, old, back } of [
    { restore: restoreSource, primary: 'target', old: 'source', back: true },
    { restore: restoreTarget, primary: 'source', old: 'target', back: false },
  ] as const) {
    await switchyard.stop();
    restore();
    const before = { primary: await balance(rehearsal, primary), old: await balance(rehearsal, old) };
    const writer = await firstWriter(rehearsal);
    // Servers that are only slow to answer are not taken for ones that are away.
    for (const { pid } of [source, target]) process.kill(pid ?? 0, 'SIGSTOP');
    const waits = () => (switchyard.log().match(WAITS) ?? []).length;
    const waited = waits();
    const started = switchyard.startProcess();
    await expect.poll(waits, POLL).toBe(waited + 1);
    // Nor the one that knows, which comes back a little after the other one.
    process.kill(rehearsal[old].pid ?? 0, 'SIGCONT');
    await setTimeout(700);
    process.kill(rehearsal[primary].pid ?? 0, 'SIGCONT');
    await started;
    await expectHeld(rehearsal, primary);
    expect(writer.answer()).toBe(undefined);
    expect(await balance(rehearsal, old)).toBe(before.old);

    const repaired = await client.repair(IMPORT);
    expect(codes(repaired)).toEqual(['STATE_OUTDATED repaired']);
    expect(repaired.route).toMatchObject({ primary, hold: 'none', fenced: false });
    await writer.done;
    expect(await balance(rehearsal, primary)).toBe(before.primary + 1_000_000);
    await rehearsal.asApplication('UPDATE traffic_accounts SET balance = balance - 1000000 WHERE id = 1');
    await rehearsal.caughtUpWith(rehearsal[primary]);
    expect((await client.doctor(IMPORT)).findings).toEqual([]);
    expect(await rehearsal.differingTables()).toEqual([]);
    expect(await rehearsal.ledger(traffic, rehearsal[primary])).toMatchObject({ exact: true, lost: 0 });
    expect((await client.strayWrites(IMPORT, {})).length).toBe(0);

    // As if nothing had been: the other way round, and a restart is a restart.
    await client.switchTraffic(IMPORT, { kind: 'primaries', back, force: true });
    await switchyard.killAll();
    await switchyard.startProcess();
    await rehearsal.reach(back ? 'running' : 'switched_primaries');
    expect(codes(await client.doctor(IMPORT)).filter((code) => code.startsWith('STATE'))).toEqual([]);
  }
  expect(await balance(rehearsal, 'source')).toBe(await balance(rehearsal, 'target'));
  await using connection = await connect(source);
  expect(await rows(connection, 'SELECT import_id, primary_side FROM _switchyard.route')).toEqual([
    { import_id: IMPORT, primary_side: 'target' },
  ]);
}, 240_000);

test('a server that is away while an old state starts is asked when it comes back; a former import of the database is no news, a later one is', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 500 });
  const { switchyard, source, target } = rehearsal;
  const { client } = switchyard;
  // With `reverse: off` the target alone is told of the switch.
  const request = rehearsal.request({ options: { fence: 'triggers', reverse: 'off' } });
  await client.createImport({ ...request, id: 'former' });
  await expect.poll(async () => (await client.getImport('former')).phase, POLL).toBe('running');
  const restoreFormer = backUp(rehearsal);
  await client.cancelImport('former');
  await client.createImport(request);
  await rehearsal.reach('running');
  const restore = backUp(rehearsal);
  await client.switchTraffic(IMPORT, { kind: 'primaries', force: true });
  process.kill(switchyard.pids('engine').at(-1) ?? 0, 'SIGKILL');
  await rehearsal.until(({ strayWrites }) => strayWrites?.watch === 'watching');
  const fence = async () => {
    await using connection = await connect(source);
    return (await rows(connection, "SELECT 1 FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'shop'")).length;
  };
  const triggers = await fence();
  expect(triggers).toBeGreaterThan(0);

  await switchyard.stop();
  restore();
  await target.kill();
  await switchyard.startProcess();
  // By this state the source is primary. Its fence refuses, and is not taken for a leftover by anything but a person.
  await expect(rehearsal.asApplication('UPDATE traffic_counters SET value = value')).rejects.toThrow('has moved');
  // Nor by a repair: the one that may know better has not been asked.
  expect(codes(await client.repair(IMPORT))).toContain('PRIMARY_FENCED failed');
  expect(await fence()).toBe(triggers);
  await target.start();
  await expect.poll(async () => (await client.getImport(IMPORT)).error?.code, POLL).toBe('STATE_OUTDATED');
  expect(codes(await client.doctor(IMPORT))).toEqual(['STATE_OUTDATED found']);
  expect(await fence()).toBe(triggers);
  expect(codes(await client.repair(IMPORT))).toEqual(['STATE_OUTDATED repaired']);
  await rehearsal.asApplication('UPDATE traffic_counters SET value = value');
  expect(await fence()).toBe(triggers);
  expect((await client.getImport(IMPORT)).phase).toBe('switched_primaries');

  // Another import has been begun since: it cannot be taken over by this one.
  await switchyard.stop();
  restoreFormer();
  await switchyard.startProcess();
  expect(codes(await client.repair('former'))).toEqual(['STATE_OUTDATED failed']);
  expect((await client.doctor('former')).route).toMatchObject({ hold: 'all', fenced: true });
}, 180_000);
