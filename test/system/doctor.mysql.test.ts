import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import type { DoctorReport } from '../../engine/doctor/doctor-report.ts';
import { connect } from '../support/query.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';

const codes = ({ findings }: DoctorReport) => findings.map(({ code, outcome }) => `${code} ${outcome}`);

/** Changes a document of the state store, as nothing of ours would. */
function editStore(dataDir: string, key: string, change: (document: Record<string, unknown>) => void): void {
  using database = new DatabaseSync(join(dataDir, 'state.sqlite'));
  const row = database.prepare('SELECT value FROM document WHERE key = ?').get(key);
  const document = JSON.parse(String(row?.['value'])) as Record<string, unknown>;
  change(document);
  database.prepare('UPDATE document SET value = ? WHERE key = ?').run(JSON.stringify(document), key);
}

test('doctor tells what is wrong and repairs it: leftover and missing fences, a hold, a dead stream, refused credentials', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 500 });
  const { switchyard, source, target } = rehearsal;
  const { client } = switchyard;
  await client.createImport(rehearsal.request({ options: { fence: 'triggers' } }));
  await rehearsal.reach('running');
  const healthy = await client.doctor(IMPORT);
  expect(healthy).toMatchObject({ healthy: true, findings: [], phase: 'running', route: { primary: 'source' } });
  expect(healthy.servers?.target.progress).toMatchObject([{ direction: 'forward' }]);

  // A fence on the primary, by whatever accident.
  await using admin = await connect(source, 'shop');
  const fenceSql =
    "CREATE TRIGGER _switchyard_fence_0_insert BEFORE INSERT ON traffic_ledger FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'moved'";
  await admin.query(fenceSql);
  expect(codes(await client.doctor(IMPORT))).toEqual(['PRIMARY_FENCED found']);
  const repaired = await client.repair(IMPORT);
  expect(codes(repaired)).toEqual(['PRIMARY_FENCED repaired']);
  expect(repaired.healthy).toBe(true);
  expect(codes(await client.doctor(IMPORT))).toEqual([]);

  // Switched there and back: now the target is fenced. One trigger less is as good as none.
  await client.switchTraffic(IMPORT, { kind: 'primaries', force: true });
  await client.switchTraffic(IMPORT, { kind: 'primaries', back: true, force: true });
  await switchyard.stop();
  await using onTarget = await connect(target, 'shop');
  await onTarget.query('DROP TRIGGER _switchyard_fence_0_insert');
  // A hold that nobody ends, and no fence that the import knows of.
  editStore(switchyard.dataDir, 'route', (route) => Object.assign(route, { hold: 'all', fenced: true, epoch: 1000 }));
  editStore(switchyard.dataDir, `import/${IMPORT}`, (document) => Object.assign(document, { fence: null }));
  await switchyard.startProcess();
  await rehearsal.until(({ streams }) => streams.some(({ state }) => state === 'running'));
  expect(codes(await client.doctor(IMPORT)).toSorted()).toEqual(['LEFTOVER_TRIGGERS found', 'TRAFFIC_HELD found']);
  expect(codes(await client.repair(IMPORT)).toSorted()).toEqual([
    'LEFTOVER_TRIGGERS repaired',
    'TRAFFIC_HELD repaired',
  ]);
  await rehearsal.asApplication('UPDATE traffic_counters SET value = value');

  // What only a person can decide stays, and the command fails.
  await admin.query("ALTER USER switchyard@'%' IDENTIFIED BY 'another-secret-1'");
  const refused = await client.repair(IMPORT);
  expect(refused.healthy).toBe(false);
  expect(codes(refused)).toContain('CREDENTIALS_REFUSED found');
  await admin.query("ALTER USER switchyard@'%' IDENTIFIED BY 'engine-secret-1'");
  await target.kill();
  expect(codes(await client.doctor(IMPORT))).toContain('SERVER_AWAY found');
});
