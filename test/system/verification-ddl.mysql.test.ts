import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ImportRequestInput } from '../../admin/client.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';
import { differing, on, SPOILS, stateOf } from '../support/verified.ts';
import { selected } from '../support/selection.ts';

async function verified(rehearsal: Rehearsal, options: ImportRequestInput['options'] = { ddl: 'EXEC' }): Promise<void> {
  const { client } = rehearsal.switchyard;
  await client.createImport(rehearsal.request({ options }));
  await rehearsal.reach('running');
  await client.verify(IMPORT);
  await rehearsal.verdict('equal');
}

test.each(selected(['mysql-9.7'] as const, ['mariadb-10.11'] as const))(
  '%s: a table that DDL has changed is compared anew, made, renamed, emptied and dropped ones too; all others stay compared',
  async (source) => {
    await using rehearsal = await Rehearsal.start({ rows: 2000, source });
    const { client } = rehearsal.switchyard;
    await on(
      rehearsal.source,
      'CREATE TABLE parts (id INT PRIMARY KEY, code VARCHAR(40) NOT NULL, amount DECIMAL(8,2) NOT NULL)',
      `INSERT INTO parts SELECT id, CONCAT('code', id), id / 4 FROM customers WHERE id <= 500`,
    );
    await verified(rehearsal);
    const traffic = rehearsal.traffic(50);

    // Past the log, so that no look at rows that are written finds it: in the table that is changed, and in one that is not.
    await on(rehearsal.target, "SET sql_log_bin = 0; UPDATE parts SET code = 'flipped' WHERE id = 7");
    // Traffic writes to none of the two.
    await on(rehearsal.target, 'SET sql_log_bin = 0; DELETE FROM stock_events ORDER BY sku LIMIT 1');
    await on(
      rehearsal.source,
      'ALTER TABLE parts ADD COLUMN added INT NOT NULL DEFAULT 7',
      'UPDATE parts SET added = 8 WHERE id = 11',
    );
    expect(differing((await rehearsal.verdict('different')).verify)).toEqual(['parts (7)']);
    expect(await client.repairDifferences(IMPORT)).toMatchObject({ repaired: 1, left: [] });
    await rehearsal.verdict('equal');

    // Values of another type, and two statements at once.
    await on(
      rehearsal.source,
      'ALTER TABLE parts MODIFY amount DECIMAL(12,4) NOT NULL',
      "UPDATE parts SET amount = 1.2345, code = 'changed' WHERE id = 12",
      'ALTER TABLE parts DROP PRIMARY KEY, ADD PRIMARY KEY (id, code)',
      'DELETE FROM parts WHERE id = 13',
    );
    await rehearsal.caughtUpWith(rehearsal.source);
    await rehearsal.verdict('equal');

    await on(
      rehearsal.source,
      "CREATE TABLE more (id INT PRIMARY KEY, note VARCHAR(20)); INSERT INTO more VALUES (1, 'a'), (2, 'b')",
      'RENAME TABLE parts TO pieces',
    );
    const { verify } = await rehearsal.until(
      (view) => stateOf(view.verify, 'more') === 'equal' && stateOf(view.verify, 'pieces') === 'equal',
    );
    expect(stateOf(verify, 'parts')).toBe(undefined);
    await on(rehearsal.target, 'SET sql_log_bin = 0; DELETE FROM pieces WHERE id = 21; UPDATE more SET note = NULL');
    await on(rehearsal.source, 'RENAME TABLE pieces TO parts, more TO others');
    const found = await rehearsal.until((view) => differing(view.verify).length === 3);
    expect(differing(found.verify).toSorted()).toEqual(['others (1)', 'others (2)', 'parts (21, code21)']);

    await on(rehearsal.source, 'DROP TABLE others', 'TRUNCATE TABLE parts');
    const emptied = await rehearsal.until((view) => view.verify?.state === 'equal');
    expect(emptied.phase).toBe('verified_data');
    expect(stateOf(emptied.verify, 'others')).toBe(undefined);
    expect(emptied.verify?.tables.find(({ name }) => name === 'parts')).toMatchObject({ state: 'equal', rows: 0 });

    // What nobody changed was not compared again: by the statement on its own table alone.
    await on(rehearsal.source, 'ALTER TABLE stock_events ADD COLUMN added INT NULL');
    expect(differing((await rehearsal.verdict('different')).verify)).toEqual([expect.stringMatching(/^stock_events /)]);
    await client.repairDifferences(IMPORT);
    await rehearsal.verdict('equal');
    expect(await client.switchTraffic(IMPORT, { kind: 'primaries' })).toMatchObject({ switched: true, refusals: [] });
    await traffic.stop();
    expect(traffic.errors).toEqual([]);
    expect(await rehearsal.ledger(traffic, rehearsal.target)).toMatchObject({ exact: true, lost: 0 });
  },
);

test('while a table waits to be compared anew: not equal, no switch, other tables are kept true; the next engine compares it', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 1000, failpoints: { 'verify.paired_anew': 'wait:held' } });
  const { switchyard } = rehearsal;
  const { client } = switchyard;
  const held = join(switchyard.dataDir, 'held');
  await verified(rehearsal);
  writeFileSync(held, '');
  await on(rehearsal.target, 'SET sql_log_bin = 0; DELETE FROM orders WHERE id = 4');
  await on(rehearsal.source, 'ALTER TABLE orders ADD COLUMN added INT NOT NULL DEFAULT 7');
  await rehearsal.caughtUpWith(rehearsal.source);
  const { verify, phase } = await client.getImport(IMPORT);
  expect(verify).toMatchObject({
    state: 'rechecking',
    reason: expect.stringMatching(/orders: ALTER TABLE orders/),
  });
  expect(phase).toBe('running');
  expect(verify?.tables.filter(({ state }) => state !== 'equal').map(({ name }) => name)).toEqual(['orders']);
  await expect(client.switchTraffic(IMPORT, { kind: 'primaries' })).rejects.toMatchObject({
    code: 'SWITCH_REFUSED',
    details: { refusals: [expect.objectContaining({ code: 'VERIFICATION_BEHIND', forceable: true })] },
  });
  await on(rehearsal.target, SPOILS);
  await on(rehearsal.source, 'UPDATE customers SET credit = credit + 1 WHERE id IN (7, 8)');
  expect(differing((await rehearsal.verdict('different')).verify)).toEqual(['customers (7)']);
  await on(rehearsal.target, 'DROP TRIGGER spoils');
  expect(await client.repairDifferences(IMPORT)).toMatchObject({
    repaired: 1,
    view: { verify: { state: 'rechecking' } },
  });

  await switchyard.killAll();
  rmSync(held);
  await switchyard.startProcess();
  expect(differing((await rehearsal.verdict('different')).verify)).toEqual(['orders (4)']);
  await client.repairDifferences(IMPORT);
  await rehearsal.verdict('equal');

  // DDL that nobody heard of: the next engine meets it in the log, with rows of both definitions.
  await on(rehearsal.target, 'SET sql_log_bin = 0; DELETE FROM orders WHERE id = 5');
  await switchyard.killAll();
  await on(
    rehearsal.source,
    'UPDATE orders SET added = 9 WHERE id = 6',
    'ALTER TABLE orders DROP COLUMN added, ADD COLUMN other VARCHAR(20) NULL FIRST',
    "UPDATE orders SET other = 'x' WHERE id = 6",
  );
  await switchyard.startProcess();
  expect(differing((await rehearsal.verdict('different')).verify)).toEqual(['orders (5)']);
  await client.repairDifferences(IMPORT);

  // Sides that are not alike cannot be compared.
  await on(rehearsal.target, 'SET sql_log_bin = 0; ALTER TABLE orders ADD COLUMN mine INT NULL');
  await on(rehearsal.source, 'ALTER TABLE orders MODIFY other VARCHAR(30) NULL');
  const stale = await rehearsal.until((view) => view.verify?.state === 'stale');
  expect(stale.verify?.reason).toMatch(/shop\.orders: the other side has 1 columns more/);
});

test('an import in error does not say equal; resumed, it does so when what was written meanwhile has been compared', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 1000, failpoints: { 'verify.recheck': 'wait:held' } });
  const { switchyard } = rehearsal;
  const { client } = switchyard;
  const held = join(switchyard.dataDir, 'held');
  await verified(rehearsal, { ddl: 'STOP' });
  await on(rehearsal.source, 'ALTER TABLE orders ADD COLUMN added INT NOT NULL DEFAULT 7');
  const inError = async () => {
    for (;;) {
      const view = await client.getImport(IMPORT);
      if (view.phase === 'error') return view;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  expect((await inError()).verify).toMatchObject({ state: 'stale', reason: expect.stringContaining('DDL_STOPPED') });
  await client.resume(IMPORT, 'apply');
  await rehearsal.verdict('equal');

  // Rows that were applied, and not compared when the stream stopped.
  writeFileSync(held, '');
  await on(rehearsal.target, SPOILS);
  await on(rehearsal.source, 'UPDATE customers SET credit = credit + 1 WHERE id BETWEEN 1 AND 20');
  await rehearsal.caughtUpWith(rehearsal.source);
  await on(rehearsal.target, 'DROP TRIGGER spoils');
  await on(rehearsal.source, 'ALTER TABLE orders DROP COLUMN added');
  expect((await inError()).verify).toMatchObject({ state: 'stale' });
  rmSync(held);
  const { verify } = await client.resume(IMPORT, 'apply');
  expect(verify?.state).not.toBe('equal');
  const found = await rehearsal.verdict('different');
  expect(found.verify?.tables.find(({ name }) => name === 'customers')?.differencesTotal).toBe(10);
});
