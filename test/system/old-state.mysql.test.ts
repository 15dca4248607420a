import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, expect, test } from 'vitest';
import type { Side } from '../../core/phase.ts';
import type { DoctorReport } from '../../engine/doctor/doctor-report.ts';
import { connect, rows } from '../support/query.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';

const POLL = { timeout: 60_000, interval: 100 };
const WAITS = /traffic waits for the source and the target/g;
const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const codes = ({ findings }: DoctorReport) => findings.map(({ code, outcome }) => `${code} ${outcome}`);

/** As a backup has it, which is taken while Switchyard runs. Returns what puts it back. */
function backUp({ switchyard }: Rehearsal): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-backup-'));
  folders.push(folder);
  const file = join(switchyard.dataDir, 'state.sqlite');
  const backup = join(folder, 'state.sqlite');
  using database = new DatabaseSync(file);
  database.exec(`VACUUM INTO '${backup}'`);
  return () => {
    for (const suffix of ['-wal', '-shm']) rmSync(`${file}${suffix}`, { force: true });
    copyFileSync(backup, file);
  };
}

/** An application that connects as Switchyard starts and writes as soon as it may. */
async function firstWriter(rehearsal: Rehearsal): Promise<{ answer: () => unknown; done: Promise<unknown> }> {
  let answer: unknown;
  const done = (async () => {
    for (;;) {
      try {
        return await rehearsal.asApplication('UPDATE traffic_accounts SET balance = balance + 1000000 WHERE id = 1');
      } catch (error) {
        if ((error as { code?: string }).code !== 'ECONNREFUSED') throw error;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  })();
  done.then(
    (result) => (answer = result),
    (error: unknown) => (answer = error),
  );
  return { answer: () => answer, done };
}

async function expectHeld(rehearsal: Rehearsal, primary: Side): Promise<void> {
  const { client } = rehearsal.switchyard;
  const view = await client.getImport(IMPORT);
  expect(view).toMatchObject({ phase: 'error', error: { code: 'STATE_OUTDATED' }, streams: [], strayWrites: null });
  const report = await client.doctor(IMPORT);
  expect(codes(report)).toEqual(['STATE_OUTDATED found']);
  expect(report.route).toMatchObject({ hold: 'all', fenced: true });
  for (const request of [
    () => client.resume(IMPORT),
    () => client.switchTraffic(IMPORT, { kind: 'primaries', force: true }),
    () => client.verify(IMPORT, {}),
  ])
    await expect(request()).rejects.toMatchObject({ code: 'STATE_OUTDATED' });
  // By an old state the tables on the target are a copy that can be made again.
  const cancelled = primary === 'target' ? 'STATE_OUTDATED' : 'PHASE_REFUSED';
  await expect(client.cancelImport(IMPORT)).rejects.toMatchObject({ code: cancelled });
}

const balance = async (rehearsal: Rehearsal, side: Side) => {
  await using connection = await connect(rehearsal[side], 'shop');
  const [row] = await rows(connection, 'SELECT balance FROM traffic_accounts WHERE id = 1');
  return Number(row?.['balance']);
};

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
    for (const { pid } of [source, target]) process.kill(pid ?? 0, 'SIGCONT');
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
