import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { AdminClient } from '../../admin/client.ts';
import { STRAY_TABLES } from '../../engine/stray/stray-writes.ts';
import { SwitchyardProcess } from '../../servers/switchyard-process.ts';
import { compareDatabases } from '../property/compare-databases.ts';
import { connect, rows } from '../support/query.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';
import { selected } from '../support/selection.ts';

test('the whole way under traffic: no error, no lost write, and the way back', async () => {
  await using rehearsal = await Rehearsal.start();
  const { client } = rehearsal.switchyard;
  await client.createImport(rehearsal.request());
  const traffic = rehearsal.traffic();
  await rehearsal.reach('running');
  await client.verify(IMPORT);
  const { verify } = await rehearsal.reach('verified_data');
  expect(verify).toMatchObject({ state: 'equal' });

  const switches = [
    { kind: 'replicas' },
    { kind: 'primaries' },
    { kind: 'primaries', back: true },
    { kind: 'primaries' },
  ] as const;
  for (const request of switches) {
    const report = await client.switchTraffic(IMPORT, request);
    expect(report).toMatchObject({ switched: true, refusals: [] });
    const { primary, replica } = (await client.getImport(IMPORT)).traffic;
    const isApart = primary !== replica;
    expect(report.warnings.some((warning) => warning.startsWith('REPLICA_WRITES'))).toBe(isApart);
    const write = rehearsal.asApplication(
      'UPDATE traffic_counters SET value = value WHERE 1 = 0',
      rehearsal.switchyard.replicaPort,
    );
    // The fence of the side that primary traffic has left may come first.
    if (isApart) await expect(write).rejects.toMatchObject({ errno: expect.toBeOneOf([1792, 1290]) });
    else await write;
  }
  expect((await client.getImport(IMPORT)).traffic).toMatchObject({ primary: 'target', replica: 'target' });

  await rehearsal.until(() => traffic.stats.acknowledgedWrites > 200);
  await traffic.stop();
  expect(traffic.errors).toEqual([]);
  expect(await rehearsal.ledger(traffic, rehearsal.target)).toMatchObject({
    exact: true,
    lost: 0,
    duplicated: 0,
    unknown: 0,
  });
  // The reverse stream kept the source up to date: it is where switching back would lead.
  await rehearsal.caughtUpWith(rehearsal.target);
  expect(await rehearsal.differingTables()).toEqual([]);

  await expect(client.complete(IMPORT, 'another')).rejects.toMatchObject({ code: 'CONFIRMATION_REQUIRED' });
  expect((await client.complete(IMPORT, IMPORT)).phase).toBe('completed');
  await expect(client.switchTraffic(IMPORT, { kind: 'primaries', back: true })).rejects.toMatchObject({
    code: 'PHASE_REFUSED',
  });
  expect(filesWith(rehearsal.switchyard.dataDir, 'engine-secret-1')).toEqual([]);
});

/** Secrets are sealed while they are stored, and never logged. */
function filesWith(folder: string, text: string): string[] {
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map(({ name }) => name).filter((name) => readFileSync(join(folder, name)).includes(text));
}

test.each(selected(['mariadb-10.11'] as const, ['mariadb-11.8'] as const))(
  '%s as the source: the same way, and back to it',
  async (source) => {
    await using rehearsal = await Rehearsal.start({ rows: 5000, source });
    const { client } = rehearsal.switchyard;
    await client.createImport(rehearsal.request());
    const traffic = rehearsal.traffic();
    await rehearsal.reach('running');
    await client.verify(IMPORT);
    expect((await rehearsal.reach('verified_data')).verify).toMatchObject({ state: 'equal' });
    for (const back of [false, true, false]) {
      expect(await client.switchTraffic(IMPORT, { kind: 'primaries', back })).toMatchObject({ switched: true });
    }
    await traffic.stop();
    expect(traffic.errors).toEqual([]);
    expect(await rehearsal.ledger(traffic, rehearsal.target)).toMatchObject({
      exact: true,
      lost: 0,
      duplicated: 0,
      unknown: 0,
    });
  },
);

test('cancelling after a switch back takes the fence from the target, which another import may need', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 500 });
  const { client } = rehearsal.switchyard;
  await client.createImport(rehearsal.request({ options: { fence: 'read_only' } }));
  await rehearsal.reach('running');
  await client.switchTraffic(IMPORT, { kind: 'primaries', force: true });
  await client.switchTraffic(IMPORT, { kind: 'primaries', back: true, force: true });
  await using target = await connect(rehearsal.target);
  const readOnly = async () => rows(target, 'SELECT @@global.read_only AS on_');
  expect(await readOnly()).toEqual([{ on_: '1' }]);
  await client.cancelImport(IMPORT);
  expect(await readOnly()).toEqual([{ on_: '0' }]);
});

test('cancelling removes what Switchyard made, and the source is as it was', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 5000 });
  const { client } = rehearsal.switchyard;
  await client.createImport(rehearsal.request());
  await rehearsal.reach('running');
  expect((await client.cancelImport(IMPORT)).phase).toBe('cancelled');
  for (const server of [rehearsal.source, rehearsal.target]) {
    expect(await rehearsal.schemas(server)).toEqual(server === rehearsal.source ? ['shop'] : []);
  }
  // The name is taken, another one is free: the same import can be made again.
  await expect(client.createImport(rehearsal.request())).rejects.toMatchObject({ code: 'IMPORT_EXISTS' });
  await client.createImport(rehearsal.request({ id: 'again' }));
  await following(client, 'again');

  // Not to its end: it must not go on then with what is left.
  await rehearsal.target.stop();
  await expect(client.cancelImport('again')).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });
  expect(await client.getImport('again')).toMatchObject({ phase: 'error', error: { code: 'CANCEL_UNFINISHED' } });
  await rehearsal.target.start();
  await expect(client.resume('again')).rejects.toMatchObject({ code: 'PHASE_REFUSED' });
  expect((await client.cancelImport('again')).phase).toBe('cancelled');
  await client.createImport(rehearsal.request({ id: 'anew' }));
  await following(client, 'anew');

  // Its data directory is lost, and what it had made on the target is dropped by hand.
  await rehearsal.switchyard.stop();
  await using target = await connect(rehearsal.target);
  for (const statement of STRAY_TABLES) await target.query(statement);
  await target.query(
    "DROP DATABASE shop; INSERT INTO _switchyard.stray_writes SET import_id = 'earlier', gtid = '', committed_at_ms = 1, table_name = '', kind = 'ddl', row_key = ''",
  );
  await using other = await SwitchyardProcess.start();
  await other.client.createImport(rehearsal.request({ id: 'anew' }));
  await following(other.client, 'anew');
  expect(await compareDatabases(rehearsal.source, rehearsal.target, 'shop')).toEqual([]);
  await other.client.cancelImport('anew');
  // What an earlier import has kept for people is not this one's to drop.
  expect(await rehearsal.schemas(rehearsal.target)).toEqual(['_switchyard']);
  expect(await rows(target, 'SELECT import_id FROM _switchyard.stray_writes')).toEqual([{ import_id: 'earlier' }]);
  expect(await rows(target, 'SELECT 1 FROM _switchyard.progress')).toEqual([]);
});

async function following(client: AdminClient, id: string): Promise<void> {
  const state = async () => {
    const { phase, error } = await client.getImport(id);
    return error ?? phase;
  };
  await expect.poll(state, { timeout: 60_000 }).toBe('running');
}
