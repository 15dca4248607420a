import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { connect, rows } from '../support/query.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';
import { differing, on, stateOf } from '../support/verified.ts';

/** Past the log: what is wrong on the target is found by a look at the whole table alone. */
async function spoil(rehearsal: Rehearsal, ...statements: string[]): Promise<void> {
  await on(rehearsal.target, 'SET sql_log_bin = 0', ...statements);
}

test('DDL within a pass: the tables that it names are compared anew, whether they had been compared or not; all others once', async () => {
  await using rehearsal = await Rehearsal.start({
    rows: 1000,
    failpoints: { 'verify.chunk': 'wait:chunks', 'verify.recheck': 'wait:recheck' },
  });
  const { switchyard, source } = rehearsal;
  const { client } = switchyard;
  const [chunks, recheck] = [join(switchyard.dataDir, 'chunks'), join(switchyard.dataDir, 'recheck')];
  await on(
    source,
    'CREATE TABLE parts (id INT PRIMARY KEY, code VARCHAR(40) NOT NULL); CREATE TABLE gone (id INT PRIMARY KEY)',
    "INSERT INTO parts SELECT id, CONCAT('code', id) FROM customers WHERE id <= 100; INSERT INTO gone VALUES (1)",
  );
  await client.createImport(rehearsal.request({ options: { ddl: 'EXEC' } }));
  await rehearsal.reach('running');

  // Before any chunk.
  writeFileSync(chunks, '');
  writeFileSync(recheck, '');
  await client.verify(IMPORT);
  await rehearsal.until(() => existsSync(`${chunks}.reached`));
  await spoil(
    rehearsal,
    "UPDATE parts SET code = 'flipped' WHERE id = 7",
    'DELETE FROM stock_events ORDER BY sku LIMIT 1',
  );
  await on(
    source,
    'ALTER TABLE parts ADD COLUMN added INT NOT NULL DEFAULT 7, DROP PRIMARY KEY, ADD PRIMARY KEY (id, code)',
    'DROP TABLE gone',
    'CREATE TABLE more (id INT PRIMARY KEY, note VARCHAR(20))',
    "INSERT INTO more VALUES (1, 'a'), (2, 'b')",
    // Keeps the pass from its end.
    'UPDATE customers SET credit = credit + 1 WHERE id = 3',
  );
  await rehearsal.caughtUpWith(source);
  await spoil(rehearsal, 'DELETE FROM more WHERE id = 2');
  rmSync(chunks);
  const { verify } = await rehearsal.until(
    ({ verify }) => stateOf(verify, 'orders') === 'equal' && differing(verify).includes('more (2)'),
  );
  expect(verify).toMatchObject({ state: 'running', reason: null });
  expect(stateOf(verify, 'gone')).toBe(undefined);
  expect(verify?.tables.filter(({ anew }) => anew).map(({ name }) => name)).toEqual(['parts', 'more']);

  // Behind the last chunk: of a table that was compared.
  await spoil(rehearsal, 'DELETE FROM orders WHERE id = 4');
  await on(source, 'ALTER TABLE orders ADD COLUMN added INT NOT NULL DEFAULT 7', 'RENAME TABLE more TO others');
  await rehearsal.caughtUpWith(source);
  rmSync(recheck);
  const found = await rehearsal.verdict('different');
  expect(differing(found.verify).toSorted()).toEqual([
    'orders (4)',
    'others (2)',
    'parts (7, code7)',
    'parts (7, flipped)',
    expect.stringMatching(/^stock_events /),
  ]);
  expect(found.verify?.rows).toBe(found.verify?.tables.reduce((sum, { rows }) => sum + rows, 0));
  expect(await client.repairDifferences(IMPORT)).toMatchObject({ repaired: 5, left: [] });
  await rehearsal.verdict('equal');
});

test('DDL while a pass is paused, and before it: noted chunks of the table do not count, all others do', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 12_000, source: 'mariadb-11.8' });
  const { switchyard, source } = rehearsal;
  const { client } = switchyard;
  await client.createImport(rehearsal.request({ options: { ddl: 'EXEC' } }));
  await rehearsal.reach('running');
  await using target = await connect(rehearsal.target);
  const noted = async () => await rows(target, 'SELECT table_name, done_at FROM _switchyard.verify_chunks ORDER BY 1');
  const compared = async (table: string) => {
    await rehearsal.until(({ verify }) => stateOf(verify, table) === 'equal');
    const paused = await client.pauseVerification(IMPORT);
    expect(paused).toMatchObject({ phase: 'running', verify: { state: 'paused' } });
    return paused;
  };
  // The largest tables are the first, and then it has to wait.
  await client.verify(IMPORT, { rowsPerSecond: 2000 });
  await compared('orders');
  const before = await noted();
  expect(before.map((row) => row['table_name'])).toEqual(expect.arrayContaining(['order_items', 'orders']));

  await spoil(rehearsal, 'DELETE FROM orders WHERE id = 4');
  await switchyard.killAll();
  await on(
    source,
    'ALTER TABLE orders ADD COLUMN added INT NOT NULL DEFAULT 7',
    'UPDATE orders SET added = 8 WHERE id = 9',
  );
  const chunks = join(switchyard.dataDir, 'chunks');
  writeFileSync(chunks, '');
  await switchyard.startProcess({ environment: { SWITCHYARD_FAILPOINTS: `verify.chunk=wait:${chunks}` } });
  await rehearsal.caughtUpWith(source);
  await client.resumeVerification(IMPORT);
  // It is known again within this part of the pass, which stops once more.
  await rehearsal.until(({ verify }) => stateOf(verify, 'orders') === 'different');
  await client.pauseVerification(IMPORT);
  rmSync(chunks);
  await client.resumeVerification(IMPORT);
  const { verify } = await rehearsal.verdict('different');
  expect(differing(verify)).toEqual(['orders (4)']);
  const items = (row: { [column: string]: unknown }) => row['table_name'] === 'order_items';
  expect((await noted()).filter(items)).toEqual(before.filter(items));
  await client.repairDifferences(IMPORT);
  await rehearsal.verdict('equal');
});

test('a stream that stops before a pass has begun stops the import, and does not leave it verifying for ever', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 200, failpoints: { 'verify.chunk': 'wait:chunks' } });
  const { switchyard, source } = rehearsal;
  const { client } = switchyard;
  const chunks = join(switchyard.dataDir, 'chunks');
  await client.createImport(rehearsal.request({ options: { ddl: 'STOP' } }));
  await rehearsal.reach('running');
  writeFileSync(chunks, '');
  await client.verify(IMPORT);
  await rehearsal.until(() => existsSync(`${chunks}.reached`));
  // The next engine meets it at once, while the pass that it goes on with waits for the stream.
  process.kill(switchyard.pids('engine').at(-1) ?? 0, 'SIGSTOP');
  await on(source, 'ALTER TABLE orders ADD COLUMN added INT NOT NULL DEFAULT 7');
  process.kill(switchyard.pids('engine').at(-1) ?? 0, 'SIGKILL');
  rmSync(chunks);
  const error = async () => (await client.getImport(IMPORT).catch(() => undefined))?.error?.code;
  await expect.poll(error, { timeout: 60_000 }).toBe('DDL_STOPPED');
  await client.resume(IMPORT, 'apply');
  await rehearsal.reach('running');
});
