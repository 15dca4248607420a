import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { connect, rows } from '../support/query.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';
import { selected } from '../support/selection.ts';
import { differing, on } from '../support/verified.ts';

test.each(selected(['mysql-9.7'] as const, ['mariadb-11.8', 'mariadb-10.11'] as const))(
  '%s: rows that the source has otherwise are found while the target is primary, repaired, and the way back needs no force',
  async (flavor) => {
    await using rehearsal = await Rehearsal.start({ rows: 3000, source: flavor });
    const { client } = rehearsal.switchyard;
    await on(
      rehearsal.source,
      'CREATE TABLE parts (id INT PRIMARY KEY, code VARCHAR(40) COLLATE utf8mb4_general_ci NOT NULL UNIQUE, data VARBINARY(40))',
      "INSERT INTO parts SELECT id, CONCAT('code', id), UNHEX(SHA2(id, 256)) FROM orders",
    );
    await client.createImport(rehearsal.request());
    const traffic = rehearsal.traffic();
    await rehearsal.reach('running');
    await client.switchTraffic(IMPORT, { kind: 'primaries' });
    await on(
      rehearsal.source,
      `SET sql_log_bin = 0;
       DELETE FROM parts WHERE id = 11;
       UPDATE parts SET data = UNHEX(CONCAT('00', SUBSTR(HEX(data), 3))) WHERE id = 12;
       UPDATE parts SET code = UPPER(code) WHERE id = 13;
       UPDATE parts SET code = 'swapped' WHERE id = 14;
       INSERT INTO parts VALUES (999999, 'code11', NULL), (1000000, 'code14', NULL)`,
    );

    await client.verify(IMPORT);
    const { verify, phase } = await rehearsal.until((view) => view.verify?.state === 'different');
    expect(phase).toBe('switched_primaries');
    expect(verify?.primary).toBe('target');
    expect(differing(verify).toSorted()).toEqual(
      ['parts (11)', 'parts (12)', 'parts (13)', 'parts (14)', 'parts (1000000)', 'parts (999999)'].toSorted(),
    );
    // In the terms of the import: `extra` is what the target has and the source has not.
    expect(verify?.tables.find(({ name }) => name === 'parts')?.differences).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ key: '(11)', kind: 'extra' }),
        expect.objectContaining({ key: '(999999)', kind: 'missing' }),
        expect.objectContaining({
          key: '(13)',
          kind: 'different',
          values: [{ column: 'code', source: 'CODE13', target: 'code13' }],
        }),
      ]),
    );
    const back = { kind: 'primaries', back: true } as const;
    await expect(client.switchTraffic(IMPORT, back)).rejects.toMatchObject({
      code: 'SWITCH_REFUSED',
      details: { refusals: [expect.objectContaining({ code: 'VERIFICATION_NOT_EQUAL' })] },
    });

    const report = await client.repairDifferences(IMPORT);
    expect(report).toMatchObject({
      repaired: 6,
      left: [],
      view: { phase: 'switched_primaries', verify: { state: 'equal', primary: 'target' } },
    });
    expect(report.view.findings).toContainEqual(
      expect.objectContaining({ code: 'ROWS_REPAIRED', side: 'source', subject: 'parts' }),
    );
    await using source = await connect(rehearsal.source);
    const records = await rows(source, 'SELECT row_key, kind, row_values FROM _switchyard.verify_repairs');
    expect(records).toHaveLength(6);
    expect(records.find((row) => row['row_key'] === '(13)')?.['row_values']).toContain('"source":"CODE13"');
    await source.end();

    // Replication goes on over repaired rows, and what was repaired is no stray write.
    await rehearsal.asApplication("UPDATE parts SET code = CONCAT(code, '!') WHERE id IN (11, 12, 14)");
    await rehearsal.caughtUpWith(rehearsal.target);
    const switched = await client.switchTraffic(IMPORT, back);
    expect(switched).toMatchObject({
      refusals: [],
      view: { phase: 'verified_data', verify: { state: 'equal', primary: 'source' }, traffic: { primary: 'source' } },
    });
    expect(switched.warnings.filter((warning) => warning.startsWith('VERIFICATION'))).toEqual([]);
    await traffic.stop();
    expect(traffic.errors).toEqual([]);
    expect(await rehearsal.ledger(traffic, rehearsal.source)).toMatchObject({ exact: true, lost: 0 });
    // The repairs are passed over on the way to the target.
    await rehearsal.caughtUpWith(rehearsal.source);
    await client.verify(IMPORT);
    await rehearsal.verdict('equal');
  },
);

test('a pass while replica traffic, or all, is on the target: paused, resumed, killed, ended by stray writes and by a forced switch', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 500, failpoints: { 'verify.chunk': 'wait:held' } });
  const { switchyard } = rehearsal;
  const { client } = switchyard;
  const held = join(switchyard.dataDir, 'held');
  const environment = { SWITCHYARD_FAILPOINTS: `verify.chunk=wait:${held}` };
  await client.createImport(rehearsal.request());
  await rehearsal.reach('running');
  await client.switchTraffic(IMPORT, { kind: 'replicas' });
  const begin = async (primary: 'source' | 'target'): Promise<void> => {
    rmSync(`${held}.reached`, { force: true });
    writeFileSync(held, '');
    expect((await client.verify(IMPORT)).verify).toMatchObject({ state: 'running', primary });
    await rehearsal.until(() => existsSync(`${held}.reached`));
  };

  // Replica traffic alone: the source is right, as before.
  await begin('source');
  for (const request of [{ kind: 'primaries' }, { kind: 'replicas', back: true }] as const) {
    const { refusals } = await client.switchTraffic(IMPORT, { ...request, dryRun: true });
    expect(refusals.map(({ code }) => code)).toEqual(['VERIFICATION_RUNNING']);
  }
  await switchyard.killAll();
  rmSync(held);
  await switchyard.startProcess({ environment });
  const verified = await rehearsal.until((view) => view.verify?.state === 'equal');
  expect(verified).toMatchObject({ phase: 'switched_replicas', verify: { primary: 'source' } });
  const forth = await client.switchTraffic(IMPORT, { kind: 'primaries' });
  expect(forth).toMatchObject({ refusals: [], view: { verify: { state: 'equal', primary: 'target' } } });
  await rehearsal.until(({ streams }) => streams[0]?.direction === 'reverse' && streams[0].state === 'running');

  await begin('target');
  await expect(client.verify(IMPORT)).rejects.toMatchObject({ code: 'PHASE_REFUSED' });
  const dry = await client.switchTraffic(IMPORT, { kind: 'primaries', back: true, dryRun: true });
  expect(dry.refusals.map(({ code }) => code)).toEqual(['VERIFICATION_RUNNING']);
  expect((await client.pauseVerification(IMPORT)).verify).toMatchObject({ state: 'paused', primary: 'target' });
  // Written while nobody listens: it is looked up in the target's log.
  await rehearsal.asApplication('UPDATE customers SET credit = credit + 1 WHERE id < 20');
  expect((await client.resumeVerification(IMPORT)).verify?.state).toBe('running');
  await switchyard.killAll();
  rmSync(held);
  await switchyard.startProcess({ environment });
  const equal = await rehearsal.until((view) => view.verify?.state === 'equal');
  expect(equal).toMatchObject({ phase: 'switched_primaries', verify: { primary: 'target' } });

  await begin('target');
  await on(rehearsal.source, 'UPDATE customers SET credit = credit + 1 WHERE id = 3');
  const strayed = await rehearsal.until((view) => view.verify?.state === 'failed');
  expect(strayed.verify).toMatchObject({ position: null, reason: expect.stringContaining('switchyard stray list') });
  await expect(client.resumeVerification(IMPORT)).rejects.toMatchObject({ code: 'PHASE_REFUSED' });
  rmSync(held);

  // What has come since is not among the differences that a repair would take for all of them.
  await client.verify(IMPORT);
  await rehearsal.until((view) => view.verify?.state === 'different');
  await on(rehearsal.source, 'UPDATE customers SET credit = credit + 1 WHERE id = 4');
  await rehearsal.until((view) => view.verify?.reason?.includes('switchyard stray list') === true);
  await expect(client.repairDifferences(IMPORT)).rejects.toMatchObject({ code: 'PHASE_REFUSED' });

  // The rows are those of the target again; the stray writes are kept all the same, and count until they are forced over.
  await client.verify(IMPORT);
  const { verify } = await rehearsal.until((view) => view.verify?.state === 'different');
  expect(differing(verify)).toEqual(['customers (3)', 'customers (4)']);
  await client.repairDifferences(IMPORT);
  await begin('target');
  const forced = await client.switchTraffic(IMPORT, { kind: 'primaries', back: true, force: true });
  rmSync(held);
  expect(forced.refusals.map(({ code }) => code).toSorted()).toEqual([
    'STRAY_WRITES_UNAPPLIED',
    'VERIFICATION_RUNNING',
  ]);
  expect(forced.view).toMatchObject({
    phase: 'switched_replicas',
    verify: { state: 'paused', primary: 'source', position: null },
  });
  expect(await rehearsal.differingTables()).toEqual([]);
});
