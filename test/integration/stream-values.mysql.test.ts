import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jsonLiteral } from '../../engine/schema/json-value.ts';
import type { Column, RowImage, Table } from '../../engine/schema/table.ts';
import { quoteName, type Bytes, type Value } from '../../engine/server/connection.ts';
import type { RowChange } from '../../engine/stream/transaction.ts';
import { FLAVOR_SPECS, type Flavor as ServerFlavor } from '../../servers/flavor.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { StreamFixture } from '../support/stream-fixture.ts';
import { zooOf } from '../support/zoo/zoo.ts';

/**
 * Every type with the values of the torture list (test/support/zoo): what is decoded from the log must equal what the
 * server answers to a SELECT, for INSERT, UPDATE (both images) and DELETE. test/fidelity goes the whole way to another
 * server; here the decoder stands alone.
 */
const TEXTUAL =
  /^(char|varchar|binary|varbinary|(tiny|medium|long)?(blob|text)|geometry|point|linestring|polygon|multi.*|geom.*|vector)$/;

function expression(column: Column): string {
  const name = quoteName(column.name);
  // SET + 0 is signed: the 64th member would make it negative.
  if (column.dataType === 'set') return `CAST(${name} AS UNSIGNED)`;
  if (['bit', 'enum'].includes(column.dataType) || column.columnType.includes('zerofill')) return `${name}+0`;
  if (column.dataType === 'float') return `${name}*1e0`;
  return TEXTUAL.test(column.dataType) ? `HEX(${name})` : name;
}

/** Comparable forms of a value as decoded and as selected. */
function decoded(column: Column, value: Value | undefined): unknown {
  if (value === null || value === undefined) return value;
  if (column.dataType === 'float') return Math.fround(Number(value));
  if (column.dataType === 'double') return Number(value);
  return TEXTUAL.test(column.dataType) ? Buffer.from(value, 'latin1').toString('hex').toUpperCase() : value;
}

function selected(column: Column, value: Value): unknown {
  return value !== null && (column.dataType === 'float' || column.dataType === 'double') ? Number(value) : value;
}

describe.each(['mysql-9.7', 'mariadb-11.8', 'mariadb-10.11'] as const)('values on %s', (flavor: ServerFlavor) => {
  const { family } = FLAVOR_SPECS[flavor];
  let server: RunningServer;
  let fixture: StreamFixture;

  beforeAll(async () => {
    server = await startServer({ flavor });
    fixture = await StreamFixture.create(server, 'torture');
    await fixture.run("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'");
  });
  afterAll(async () => {
    await fixture?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  it.each(Object.entries(zooOf(flavor)))('%s', async (group, cases) => {
    const name = `t_${group}`;
    await fixture.run(
      `CREATE TABLE ${name} (id INT PRIMARY KEY, ${cases.map(({ type }, index) => `c${index} ${type}`).join(', ')})`,
    );
    await fixture.inspect();
    const table = fixture.tables.find((candidate) => candidate.name === name);
    expect(table).toBeDefined();
    if (table === undefined) return;
    const writable = cases.map(({ values }, index) => ({ column: `c${index}`, values: [...values, 'NULL'] }));
    const count = Math.max(...writable.map(({ values }) => values.length)) + 1;
    const valueAt = (values: string[], row: number) => values[row % values.length] ?? 'NULL';

    const inserts = await changesOf(async () => {
      for (let row = 0; row < count; row += 1) {
        await fixture.run(
          `INSERT INTO ${name} (id, ${writable.map(({ column }) => column).join(', ')}) VALUES (${row}, ${writable.map(({ values }) => valueAt(values, row)).join(', ')})`,
        );
      }
    });
    expect(inserts.map(({ kind }) => kind)).toEqual(Array.from({ length: count }, () => 'insert'));
    await expectNoNulls();
    await expectRows(
      table,
      inserts.map((change) => (change.kind === 'insert' ? change.after : [])),
    );

    /** A literal that the server turned into NULL would make its case empty. */
    async function expectNoNulls(): Promise<void> {
      for (const { column, values } of writable) {
        const wanted = Array.from({ length: count }, (_, row) => valueAt(values, row)).filter(
          (value) => value !== 'NULL',
        ).length;
        const [row] = await fixture.connection.rows(`SELECT COUNT(${column}) FROM ${name}`);
        expect(row?.[0], column).toBe(String(wanted));
      }
    }

    const updates = await changesOf(async () => {
      for (let row = 0; row < count; row += 1) {
        await fixture.run(
          `UPDATE ${name} SET ${writable.map(({ column, values }) => `${column} = ${valueAt(values, row + 1)}`).join(', ')} WHERE id = ${row}`,
        );
      }
    });
    expectSameImages(
      table,
      updates.map((change) => (change.kind === 'update' ? change.before : [])),
      inserts.map((change) => (change.kind === 'insert' ? change.after : [])),
    );
    const after = updates.map((change) => (change.kind === 'update' ? change.after : []));
    await expectRows(table, after);

    const deletes = await changesOf(async () => fixture.run(`DELETE FROM ${name} ORDER BY id`));
    expectSameImages(
      table,
      deletes.map((change) => (change.kind === 'delete' ? change.before : [])),
      after,
    );
  });

  async function changesOf(work: () => Promise<void>): Promise<RowChange[]> {
    const transactions = await fixture.record(work);
    return transactions.flatMap(({ changes }) => changes);
  }

  /** MariaDB leaves generated columns out of the images before a change. */
  function expectSameImages({ columns }: Table, actual: RowImage[], expected: RowImage[]): void {
    const written = (images: RowImage[]) =>
      images.map((image) => image.filter((_, at) => family === 'mysql' || columns[at]?.generated === null));
    expect(written(actual)).toEqual(written(expected));
  }

  async function expectRows(table: Table, images: RowImage[]): Promise<void> {
    const { columns } = table;
    const rows = await fixture.connection.rows(
      `SELECT ${columns.map(expression).join(', ')} FROM ${table.name} ORDER BY id`,
    );
    expect(images).toHaveLength(rows.length);
    for (const [index, row] of rows.entries()) {
      for (const [at, column] of columns.entries()) {
        const value = images[index]?.[at];
        const where = `row ${index}, ${column.name} ${column.columnType.slice(0, 60)}`;
        if (column.generated !== null && value === undefined && family === 'mariadb') continue;
        if (column.dataType === 'json') await expectSameJson(table, index, column, value, where);
        else expect(decoded(column, value), where).toEqual(selected(column, row[at] ?? null));
      }
    }
  }

  /** The server compares: its text of the parsed text with its text of the stored document. */
  async function expectSameJson(
    { name }: Table,
    id: number,
    column: Column,
    value: Value | undefined,
    where: string,
  ): Promise<void> {
    const parsed: Bytes =
      value === null || value === undefined ? 'NULL' : `CAST(CAST(${jsonLiteral(value)} AS JSON) AS CHAR)`;
    const [row] = await fixture.connection.rows(
      `SELECT CAST(${column.name} AS CHAR) <=> ${parsed}, LEFT(CAST(${column.name} AS CHAR), 200), LEFT(${parsed}, 200) FROM ${name} WHERE id = ${id}`,
    );
    expect(row?.[0], `${where}: ${row?.[1]} and ${row?.[2]}`).toBe('1');
  }
});
