import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { VerifyView } from '../../engine/api.ts';
import { connect, rows } from '../support/query.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';
import { on, SPOILS } from '../support/verified.ts';
import { selected } from '../support/selection.ts';

test.each(selected(['mysql-9.7'] as const, ['mariadb-10.11'] as const))(
  '%s: verified stays verified under traffic, and the switch makes sure of the last rows',
  async (source) => {
    await using rehearsal = await Rehearsal.start({ rows: 5000, source });
    const { client } = rehearsal.switchyard;
    await client.createImport(rehearsal.request());
    const traffic = rehearsal.traffic();
    await rehearsal.reach('running');
    await client.verify(IMPORT);
    await rehearsal.reach('verified_data');
    const { verify } = await rehearsal.until((view) => (view.verify?.recheck?.compared ?? 0) > 200);
    expect(verify).toMatchObject({ state: 'equal' });
    expect((await client.getImport(IMPORT)).phase).toBe('verified_data');
    const before = verify?.position;
    await rehearsal.until((view) => view.verify?.position !== before);
    expect(await client.switchTraffic(IMPORT, { kind: 'primaries' })).toMatchObject({ switched: true, refusals: [] });
    // From now on it is about what is written on the target (verification-back.mysql.test.ts).
    expect((await client.getImport(IMPORT)).verify).toMatchObject({ state: 'equal', primary: 'target' });
    await traffic.stop();
    expect(traffic.errors).toEqual([]);
    expect(await rehearsal.ledger(traffic, rehearsal.target)).toMatchObject({ exact: true, lost: 0 });
  },
);

test('a row that the target spoilt behind the verification is found, named, and refuses the switch', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 2000 });
  const { client } = rehearsal.switchyard;
  await client.createImport(rehearsal.request());
  await rehearsal.reach('running');
  await client.verify(IMPORT);
  await rehearsal.reach('verified_data');
  await on(rehearsal.target, SPOILS);
  await on(rehearsal.source, 'UPDATE customers SET credit = credit + 1 WHERE id IN (7, 8)');
  const { verify } = await rehearsal.verdict('different');
  expect(verify?.tables.find(({ name }) => name === 'customers')).toMatchObject({
    differencesTotal: 1,
    differences: [{ key: '(7)', kind: 'different', columns: ['name'] }],
  });
  await expect(client.switchTraffic(IMPORT, { kind: 'primaries' })).rejects.toMatchObject({
    code: 'SWITCH_REFUSED',
    details: { refusals: [expect.objectContaining({ code: 'VERIFICATION_NOT_EQUAL' })] },
  });
});

test('a row that is spoilt within the pause: the switch is undone before its decision', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 2000, failpoints: { 'switch.hold': 'wait:held' } });
  const { switchyard } = rehearsal;
  const { client } = switchyard;
  const held = join(switchyard.dataDir, 'held');
  await client.createImport(rehearsal.request({ options: { fence: 'triggers', pauseDeadlineMs: 60_000 } }));
  await rehearsal.reach('running');
  await client.verify(IMPORT);
  await rehearsal.reach('verified_data');
  writeFileSync(held, '');
  const switching = client.switchTraffic(IMPORT, { kind: 'primaries' });
  switching.catch(() => {});
  await rehearsal.until(() => existsSync(`${held}.reached`));
  // Past the proxy, behind the last comparison before the pause and before the fence.
  await on(rehearsal.target, SPOILS);
  await on(rehearsal.source, 'UPDATE customers SET credit = credit + 1 WHERE id = 7');
  rmSync(held);
  await expect(switching).rejects.toMatchObject({
    code: 'SWITCH_ROLLED_BACK',
    message: expect.stringContaining('customers (7)'),
    details: { because: 'VERIFY_DIFFERENT' },
  });
  await on(rehearsal.target, 'DROP TRIGGER spoils');
  expect(await client.getImport(IMPORT)).toMatchObject({
    phase: 'running',
    traffic: { primary: 'source' },
    verify: { state: 'different' },
  });
  await rehearsal.asApplication('UPDATE customers SET credit = credit + 1 WHERE id = 9');
});

test('rows that were written before an engine was killed are compared by the next one', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 2000, failpoints: { 'verify.recheck': 'wait:held' } });
  const { switchyard } = rehearsal;
  const { client } = switchyard;
  const held = join(switchyard.dataDir, 'held');
  await client.createImport(rehearsal.request());
  await rehearsal.reach('running');
  await client.verify(IMPORT);
  await rehearsal.reach('verified_data');
  writeFileSync(held, '');
  await on(rehearsal.target, SPOILS);
  await on(rehearsal.source, 'UPDATE customers SET credit = credit + 1 WHERE id BETWEEN 1 AND 20');
  await rehearsal.caughtUpWith(rehearsal.source);
  await on(rehearsal.target, 'DROP TRIGGER spoils');
  expect((await client.getImport(IMPORT)).verify).toMatchObject({ state: 'equal', recheck: { keys: 20 } });
  await switchyard.killAll();
  rmSync(held);
  await switchyard.startProcess();
  const { verify } = await rehearsal.verdict('different');
  expect(verify?.tables.find(({ name }) => name === 'customers')?.differencesTotal).toBe(10);
});

test('what replication does not write is not looked at again: only the next verification finds it', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 500 });
  const { client } = rehearsal.switchyard;
  await client.createImport(rehearsal.request());
  await rehearsal.reach('running');
  await client.verify(IMPORT);
  await rehearsal.reach('verified_data');
  await on(rehearsal.target, "SET sql_log_bin = 0; UPDATE customers SET name = 'flipped' WHERE id IN (3, 5)");
  // A whole row comes with every change: this one is right by that.
  await on(rehearsal.source, 'UPDATE customers SET credit = credit + 1 WHERE id = 5');
  const { verify } = await rehearsal.until((view) => (view.verify?.recheck?.compared ?? 0) > 0);
  expect(verify?.state).toBe('equal');
  await client.verify(IMPORT);
  const found = await rehearsal.verdict('different');
  expect(found.verify?.tables.flatMap(({ differences }) => differences.map(({ key }) => key))).toEqual(['(3)']);
});

test('paused, killed, gone on: chunks that are done stay done, and what was written meanwhile is compared', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 60_000 });
  const { switchyard } = rehearsal;
  const { client } = switchyard;
  await client.createImport(rehearsal.request());
  await rehearsal.reach('running');
  // Slow enough to be stopped in the middle, by its own throttle.
  await client.verify(IMPORT, { rowsPerSecond: 4000 });
  await rehearsal.until(({ verify }) => chunksDone(verify) >= 3);
  const paused = await client.pauseVerification(IMPORT);
  expect(paused).toMatchObject({ phase: 'running', verify: { state: 'paused', rowsPerSecond: 4000 } });
  await expect(client.pauseVerification(IMPORT)).rejects.toMatchObject({ code: 'PHASE_REFUSED' });
  await expect(client.switchTraffic(IMPORT, { kind: 'primaries' })).rejects.toMatchObject({ code: 'SWITCH_REFUSED' });
  const before = chunksDone(paused.verify);
  // On the target alone, in rows that were compared, or will be: written by replication, and spoilt there.
  await on(rehearsal.target, SPOILS);
  await on(rehearsal.source, 'UPDATE customers SET credit = credit + 1 WHERE id IN (7, 8)');
  await rehearsal.caughtUpWith(rehearsal.source);
  await on(rehearsal.target, 'DROP TRIGGER spoils');
  await switchyard.killAll();
  await switchyard.startProcess();
  expect((await client.getImport(IMPORT)).verify).toMatchObject({ state: 'paused' });
  await client.resumeVerification(IMPORT);
  const { verify: early } = await rehearsal.until(({ verify }) => verify?.state === 'running' && verify.rows > 0);
  expect(chunksDone(early)).toBeGreaterThanOrEqual(before);
  // Killed in the middle: the next engine goes on by itself.
  const reached = await rehearsal.until(
    ({ verify }) => chunksDone(verify) >= before + 1 || verify?.state === 'different',
  );
  expect(reached.verify?.state).toBe('running');
  await using target = await connect(rehearsal.target);
  const noted = async () => await rows(target, 'SELECT table_name, seq, done_at FROM _switchyard.verify_chunks');
  while ((await noted()).length < before + 1) await rehearsal.until(({ verify }) => verify !== null);
  const done = await noted();
  process.kill(switchyard.pids('engine').at(-1) ?? 0, 'SIGKILL');
  const { verify } = await rehearsal.verdict('different');
  const differing = verify?.tables.filter(({ differencesTotal }) => differencesTotal > 0);
  expect(differing).toMatchObject([{ name: 'customers', differences: [{ key: '(7)', kind: 'different' }] }]);
  expect(verify?.startedAtMs).toBe(paused.verify?.startedAtMs);
  // None of them was compared again.
  expect(await noted()).toEqual(expect.arrayContaining(done));
});

function chunksDone(verify: VerifyView | null): number {
  return (verify?.tables ?? []).reduce((sum, table) => sum + table.chunksDone, 0);
}

test.each(selected(['mysql-9.7'] as const, ['mariadb-11.8'] as const))(
  '%s: rows that are missing, too many or different are repaired under traffic, recorded, and equal again',
  async (source) => {
    await using rehearsal = await Rehearsal.start({ rows: 2000, source });
    const { client } = rehearsal.switchyard;
    await on(
      rehearsal.source,
      'CREATE TABLE parts (id INT PRIMARY KEY, code VARCHAR(40) NOT NULL, data BLOB, amount DOUBLE, doc JSON, UNIQUE KEY (code))',
      `INSERT INTO parts SELECT id, CONCAT('code', id), LEFT(UNHEX(SHA2(id, 256)), 16), id / 3, '{"a": 1.5}' FROM customers WHERE id <= 100`,
    );
    await client.createImport(rehearsal.request());
    const traffic = rehearsal.traffic();
    await rehearsal.reach('running');
    await on(
      rehearsal.target,
      `SET sql_log_bin = 0;
       DELETE FROM parts WHERE id = 11;
       UPDATE parts SET amount = amount + 1, data = NULL WHERE id = 12;
       UPDATE parts SET code = 'swapped' WHERE id = 14;
       INSERT INTO parts VALUES (999, 'code11', NULL, NULL, NULL), (1000, 'code14', 'nobody', NULL, NULL)`,
    );
    await expect(client.repairDifferences(IMPORT)).rejects.toMatchObject({ code: 'PHASE_REFUSED' });
    await client.verify(IMPORT);
    const { verify } = await rehearsal.verdict('different');
    const found = verify?.tables.find(({ name }) => name === 'parts');
    expect(found?.differences.map(({ key, kind }) => `${kind} ${key}`).toSorted()).toEqual(
      ['different (12)', 'different (14)', 'extra (1000)', 'extra (999)', 'missing (11)'].toSorted(),
    );
    expect(found?.differences.find(({ key }) => key === '(12)')).toMatchObject({
      columns: ['data', 'amount'],
      values: [
        { column: 'data', source: '0x6B51D431DF5D7F141CBECECCF79EDF3D', target: 'NULL' },
        { column: 'amount', source: '4', target: '5' },
      ],
    });
    const report = await client.repairDifferences(IMPORT);
    expect(report).toMatchObject({
      repaired: 5,
      left: [],
      view: { phase: 'verified_data', verify: { state: 'equal' } },
    });
    expect(report.view.findings).toContainEqual(expect.objectContaining({ code: 'ROWS_REPAIRED', subject: 'parts' }));
    await using target = await connect(rehearsal.target);
    const repairs = await rows(target, 'SELECT row_key, kind, row_values, actor FROM _switchyard.verify_repairs');
    expect(repairs).toHaveLength(5);
    expect(repairs.find((row) => row['row_key'] === '(1000)')).toMatchObject({
      kind: 'extra',
      actor: 'test',
      row_values: expect.stringContaining('"target":"code14"'),
    });
    // Replication goes on over the repaired rows, and another look at all of them finds nothing.
    await on(
      rehearsal.source,
      "UPDATE parts SET code = CONCAT(code, '!') WHERE id IN (11, 12, 14)",
      'DELETE FROM parts WHERE id = 11',
    );
    await client.verify(IMPORT);
    expect((await rehearsal.reach('verified_data')).verify).toMatchObject({ state: 'equal' });
    expect(await client.switchTraffic(IMPORT, { kind: 'primaries' })).toMatchObject({ switched: true });
    await expect(client.repairDifferences(IMPORT)).rejects.toMatchObject({ code: 'PHASE_REFUSED' });
    await traffic.stop();
    expect(traffic.errors).toEqual([]);
    expect(await rehearsal.ledger(traffic, rehearsal.target)).toMatchObject({ exact: true, lost: 0 });
  },
);

test('a transaction too large to remember its rows: the whole table is compared again', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 2000 });
  const { client } = rehearsal.switchyard;
  await on(
    rehearsal.source,
    'CREATE TABLE large (id INT PRIMARY KEY, data VARCHAR(4000) NOT NULL) CHARACTER SET latin1',
    "INSERT INTO large SELECT id, REPEAT('a', 4000) FROM orders",
    "INSERT INTO large SELECT id + 10000, REPEAT('a', 4000) FROM traffic_accounts",
  );
  await client.createImport(rehearsal.request());
  await rehearsal.reach('running');
  await client.verify(IMPORT);
  await rehearsal.reach('verified_data');
  await on(
    rehearsal.target,
    "CREATE TRIGGER spoils BEFORE INSERT ON large FOR EACH ROW SET NEW.data = IF(NEW.id = 77, 'spoilt', NEW.data)",
  );
  await on(rehearsal.source, "UPDATE large SET data = REPEAT('b', 4000)");
  const { verify } = await rehearsal.verdict('different');
  expect(verify?.tables.find(({ name }) => name === 'large')).toMatchObject({
    differencesTotal: 1,
    differences: [{ key: '(77)', kind: 'different', values: [{ column: 'data', target: 'spoilt' }] }],
  });
  // Everything else of it was compared, too.
  await rehearsal.until((view) => view.verify?.recheck?.tables.length === 0);
});
