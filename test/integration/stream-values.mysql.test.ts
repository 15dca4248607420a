import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Flavor } from '../../core/gtid.ts';
import type { Column, RowImage, Table } from '../../engine/schema/table.ts';
import { escapeBytes, quoteName, type Bytes, type Value } from '../../engine/server/connection.ts';
import type { RowChange } from '../../engine/stream/transaction.ts';
import { FLAVOR_SPECS, type Flavor as ServerFlavor } from '../../servers/flavor.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { StreamFixture } from '../support/stream-fixture.ts';

/**
 * Every type with the values of the torture list (design, "Values"): what is decoded from the log must equal what the
 * server answers to a SELECT, for INSERT, UPDATE (both images) and DELETE.
 */
interface ColumnCase {
  type: string;
  values: string[];
  only?: Flavor;
}

const bytes = (hex: string, charset = 'binary') => `_${charset} X'${hex}'`;
const members = (count: number) => Array.from({ length: count }, (_, index) => `'m${index}'`).join(',');
const JSONS = [
  'null',
  'true',
  'false',
  '0',
  '-1',
  '32767',
  '32768',
  '-32769',
  '65536',
  '2147483648',
  '-9223372036854775808',
  '18446744073709551615',
  '1.0',
  '-0.0',
  '0.1',
  '1e20',
  '1e-7',
  '1.7976931348623157e308',
  '5e-324',
  '123456789012345.678',
  '""',
  '"a\\"b\\\\c\\n\\u0001\\u2028é😀/"',
  '[]',
  '{}',
  '[[[[[[]]]]]]',
  '{"a": 1, "b": [1, 2.5, null, "x"], "": {"": ""}}',
  '{"__proto__": 1, "constructor": [true], "toString": false}',
  `{"k": "${'v'.repeat(300)}", "l": [${Array.from({ length: 300 }, (_, i) => i * 1000).join(',')}]}`,
  `[${Array.from({ length: 20_000 }, (_, i) => `"${i}-${'x'.repeat(8)}"`).join(',')}, {"deep": {"er": [-70000, 70000, 4294967296]}}]`,
  `${'['.repeat(99)}${']'.repeat(99)}`,
];

const COLUMNS: Record<string, ColumnCase[]> = {
  numbers: [
    { type: 'TINYINT', values: ['-128', '127', '0', 'NULL', '-1'] },
    { type: 'TINYINT UNSIGNED', values: ['255', '0', 'NULL', '128'] },
    { type: 'SMALLINT', values: ['-32768', '32767', '-1'] },
    { type: 'SMALLINT UNSIGNED', values: ['65535', '32768'] },
    { type: 'MEDIUMINT', values: ['-8388608', '8388607', '-1'] },
    { type: 'YEAR', values: ['0', '1901', '2155', '2024', 'NULL'] },
    { type: 'MEDIUMINT UNSIGNED', values: ['16777215', '8388608'] },
    { type: 'INT', values: ['-2147483648', '2147483647', '-1'] },
    { type: 'INT UNSIGNED ZEROFILL', values: ['4294967295', '5'] },
    {
      type: 'BIGINT',
      values: [
        '-9223372036854775808',
        '9223372036854775807',
        '-1',
        '9007199254740993',
        '-9007199254740993',
        '-9007199254740992',
        '9007199254740991',
        '4294967296',
      ],
    },
    { type: 'BIGINT UNSIGNED', values: ['18446744073709551615', '9007199254740993', '0', '9223372036854775808'] },
    {
      type: 'FLOAT',
      values: [
        '3.4028234e38',
        '-3.4028234e38',
        '1.17549435e-38',
        '1e-45',
        '-0e0',
        '0.1',
        '16777217',
        '1e0/3e0',
        '123456.789',
        'NULL',
      ],
    },
    { type: 'FLOAT UNSIGNED', values: ['2.5', '7e-39'] },
    {
      type: 'DOUBLE',
      values: [
        '1.7976931348623157e308',
        '2.2250738585072014e-308',
        '-0e0',
        '0.1e0',
        '1e0/3e0',
        '1e22',
        '-123456789.123456789e0',
        '5e-324',
      ],
    },
    {
      type: 'DECIMAL(65,30)',
      values: [
        '12345678901234567890123456789012345.123456789012345678901234567890',
        '-99999999999999999999999999999999999.999999999999999999999999999999',
        '0',
        '-0.000000000000000000000000000001',
        'NULL',
      ],
    },
    { type: 'DECIMAL(10,2)', values: ['-99999999.99', '0.01', '-0.01', '10'] },
    { type: 'DECIMAL(5,0) UNSIGNED', values: ['99999', '0'] },
    { type: 'DECIMAL(30,30)', values: ['0.999999999999999999999999999999', '-0.5'] },
    { type: 'DECIMAL(18,9)', values: ['1.000000001', '-123456789.987654321', '0.1'] },
    { type: 'BIT(1)', values: ["b'1'", "b'0'", 'NULL'] },
    { type: 'BIT(9)', values: ["b'101010101'", '511'] },
    { type: 'BIT(33)', values: ['8589934591', '1'] },
    { type: 'BIT(64)', values: ['18446744073709551615', '0', '9223372036854775808'] },
    { type: "ENUM('a','it''s','c,d','')", values: ["'a'", "'it''s'", "'c,d'", "''", '4', "'no such member'", 'NULL'] },
    { type: `ENUM(${members(300)})`, values: ["'m0'", "'m299'", "'m255'"] },
    { type: "SET('a','b ','c''')", values: ["''", "'a,c'''", '7', 'NULL'] },
    { type: `SET(${members(64)})`, values: ['18446744073709551615', '0', '9223372036854775808', "'m0,m63'"] },
    { type: `SET(${members(20)})`, values: ['1048575', '65536'] },
  ],
  times: [
    {
      type: 'DATE',
      values: ["'0000-00-00'", "'2024-02-29'", "'2024-00-00'", "'2024-11-00'", "'9999-12-31'", "'0001-01-01'", 'NULL'],
    },
    ...[0, 1, 2, 3, 4, 5, 6].flatMap((digits): ColumnCase[] => [
      {
        type: `TIME(${digits})`,
        values: [
          "'-838:59:59'",
          "'838:59:59'",
          "'-00:00:00.5'",
          "'-00:00:01.25'",
          "'12:34:56.999999'",
          "'00:00:00'",
          "'-00:00:00.000001'",
          "'-123:00:00.090807'",
        ],
      },
      {
        type: `DATETIME(${digits})`,
        values: [
          "'0000-00-00 00:00:00'",
          "'9999-12-31 23:59:59'",
          "'2024-02-29 01:02:03.040506'",
          "'1000-00-00 10:00:00.5'",
          "'0000-01-01 00:00:00.999'",
          'NULL',
        ],
      },
      {
        type: `TIMESTAMP(${digits}) NULL`,
        values: [
          "'1970-01-01 00:00:01'",
          "'2038-01-19 03:14:07'",
          "'0000-00-00 00:00:00'",
          "'2024-02-29 23:59:58.456789'",
          "'2000-03-01 00:00:00.1'",
          "'1999-12-31 23:59:59.000001'",
          'NULL',
        ],
      },
    ]),
    { type: 'TIMESTAMP NULL', values: ["'2106-02-07 06:28:15'", "'2038-01-19 03:14:08'"], only: 'mariadb' },
  ],
  strings: [
    {
      type: 'CHAR(5) CHARACTER SET latin1',
      values: [bytes('818d8f909d', 'latin1'), "'a    '", "''", 'NULL', bytes('80ff', 'latin1')],
    },
    {
      type: 'CHAR(255) CHARACTER SET utf8mb4',
      values: [`REPEAT(${bytes('f09f9880', 'utf8mb4')}, 255)`, "' lead'", "''"],
    },
    { type: 'CHAR(100) CHARACTER SET utf8mb3', values: [`REPEAT(${bytes('e282ac', 'utf8mb3')}, 100)`, "'x'"] },
    { type: 'VARCHAR(10) CHARACTER SET ascii', values: ["'a  '", "''", bytes('00', 'ascii')] },
    { type: 'VARCHAR(255) CHARACTER SET utf8mb4', values: [bytes('c3a9f09f98800a', 'utf8mb4'), "'tail '", 'NULL'] },
    { type: 'VARCHAR(1000) CHARACTER SET latin1', values: ["REPEAT('é', 500)", "'x'", "''"] },
    { type: 'VARCHAR(50) CHARACTER SET ucs2', values: [bytes('00e94e2d', 'ucs2'), "''"] },
    { type: 'VARCHAR(50) CHARACTER SET utf16', values: [bytes('00e9d83dde00', 'utf16'), 'NULL'] },
    { type: 'CHAR(20) CHARACTER SET utf32', values: [bytes('000000e90001f600', 'utf32'), "''"] },
    { type: 'VARCHAR(50) CHARACTER SET gbk', values: [bytes('c4e3bac3815c', 'gbk')] },
    { type: 'VARCHAR(50) CHARACTER SET sjis', values: [bytes('835c97b7', 'sjis')] },
    { type: 'BINARY(5)', values: [bytes('0100'), bytes('0000000000'), bytes('61'), bytes('6100620000'), 'NULL'] },
    { type: 'BINARY(255)', values: [bytes('00'), 'REPEAT(0xff, 255)', 'CONCAT(REPEAT(0x01, 254), 0x00)'] },
    { type: 'VARBINARY(300)', values: [bytes('00'), bytes('610000'), "''", 'REPEAT(0x0a, 300)'] },
    { type: 'VARBINARY(16)', values: [bytes('00010000'), 'NULL'] },
    { type: 'TINYBLOB', values: ["''", 'REPEAT(0x00, 255)', 'NULL'] },
    { type: 'TINYTEXT', values: ["''", "REPEAT('x', 255)"] },
    { type: 'BLOB', values: ['REPEAT(0xfe, 65535)', bytes('00')] },
    { type: 'TEXT CHARACTER SET latin1', values: [`REPEAT(${bytes('81', 'latin1')}, 300)`, "''"] },
    { type: 'MEDIUMBLOB', values: ['REPEAT(0x5c, 100000)', 'NULL'] },
    { type: 'MEDIUMTEXT', values: ["REPEAT('m', 70000)"] },
    { type: 'LONGBLOB', values: ['REPEAT(0x27, 300000)', "''"] },
    { type: 'LONGTEXT', values: [`REPEAT(${bytes('f09f9880', 'utf8mb4')}, 30000)`, 'NULL'] },
  ],
  spatial: [
    {
      type: 'GEOMETRY',
      values: [
        "ST_GeomFromText('POINT(1 2)', 4326)",
        "ST_GeomFromText('POINT(1.5 -2)')",
        "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(0 0),LINESTRING(1 1,2 2))')",
        'NULL',
      ],
    },
    { type: 'POINT', values: ["ST_GeomFromText('POINT(-0 1e300)')", 'NULL'] },
    { type: 'POLYGON', values: ["ST_GeomFromText('POLYGON((0 0,0 1,1 1,0 0))')", 'NULL'] },
    { type: 'MULTILINESTRING', values: ["ST_GeomFromText('MULTILINESTRING((0 0,1 1),(2 2,3 3))')", 'NULL'] },
  ],
  json: [
    {
      type: 'JSON',
      values: ['NULL', ...JSONS.map((text) => `_utf8mb4'${escapeBytes(Buffer.from(text).toString('latin1'))}'`)],
    },
  ],
  computed: [
    { type: 'INT', values: ['1', '2', 'NULL'] },
    { type: 'INT GENERATED ALWAYS AS (c0 + 1) VIRTUAL', values: [] },
    { type: 'INT GENERATED ALWAYS AS (c0 * 2) STORED', values: [] },
    { type: 'VARCHAR(20) GENERATED ALWAYS AS (CONCAT(c0, 0x41)) VIRTUAL', values: [] },
    { type: 'INT INVISIBLE', values: ['7', 'NULL'] },
    { type: 'VARCHAR(20)', values: ["'after'"] },
  ],
  vectors: [{ type: 'VECTOR(3)', values: ["X'0000803F0000004000004040'", 'NULL'] }],
  mariadb_types: [
    {
      type: 'UUID',
      values: [
        "_latin1'123e4567-e89b-12d3-a456-426614174000'",
        "_latin1'00000000-0000-0000-0000-000000000000'",
        "_latin1'f47ac10b-58cc-4372-a567-0e02b2c3d479'",
        "_latin1'018e9a3c-0000-7000-8000-00000000ff00'",
        'NULL',
      ],
      only: 'mariadb',
    },
    {
      type: 'INET6',
      values: [
        "_latin1'2001:db8::ff00:42:8329'",
        "_latin1'::'",
        "_latin1'::ffff:192.168.0.1'",
        "_latin1'fe80::'",
        "_latin1'::1.2.3.0'",
        "_latin1'1:0:0:2::'",
        "_latin1'1:2:3:0:5:6:7:8'",
        "_latin1'::1'",
        "_latin1'0:0:1:0:0:2:0:0'",
        'NULL',
      ],
      only: 'mariadb',
    },
    {
      type: 'INET4',
      values: ["_latin1'192.168.0.0'", "_latin1'0.0.0.0'", "_latin1'255.255.255.255'", 'NULL'],
      only: 'mariadb',
    },
    { type: 'VARCHAR(1000) COMPRESSED', values: ["REPEAT('abc', 300)", "'short'", "''", 'NULL'], only: 'mariadb' },
    { type: 'BLOB COMPRESSED', values: ['REPEAT(0x00ff, 20000)', "''", "'x'"], only: 'mariadb' },
    { type: 'LONGTEXT COMPRESSED', values: ["REPEAT('long', 50000)", 'NULL'], only: 'mariadb' },
    { type: 'VARCHAR(100) COMPRESSED CHARACTER SET latin1', values: ["REPEAT('a', 100)", "'b'"], only: 'mariadb' },
    { type: 'JSON', values: [`'{"a": 1.0}'`, 'NULL'], only: 'mariadb' },
  ],
};

/** Values past 2038. */
const AFTER_10_11 = /^TIMESTAMP NULL/;
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
  const { family, version } = FLAVOR_SPECS[flavor];
  let server: RunningServer;
  let fixture: StreamFixture;

  beforeAll(async () => {
    server = await startServer({ flavor });
    fixture = await StreamFixture.create(server, 'torture');
  });
  afterAll(async () => {
    await fixture?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  const groups = Object.entries(COLUMNS).filter(
    ([name]) =>
      !(name === 'mariadb_types' && family === 'mysql') &&
      !(name === 'vectors' && version === '10.11') &&
      !(name === 'json' && family === 'mariadb'),
  );

  it.each(groups)('%s', async (group, all) => {
    const cases = all.filter(
      ({ only, type }) => (only === undefined || only === family) && (version !== '10.11' || !AFTER_10_11.test(type)),
    );
    const name = `t_${group}`;
    await fixture.run(
      `CREATE TABLE ${name} (id INT PRIMARY KEY, ${cases.map(({ type }, index) => `c${index} ${type}`).join(', ')})`,
    );
    await fixture.inspect();
    const table = fixture.tables.find((candidate) => candidate.name === name);
    expect(table).toBeDefined();
    if (table === undefined) return;
    const writable = cases
      .map(({ values }, index) => ({ column: `c${index}`, values }))
      .filter(({ values }) => values.length > 0);
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
      value === null || value === undefined ? 'NULL' : `CAST(CAST(_utf8mb4'${escapeBytes(value)}' AS JSON) AS CHAR)`;
    const [row] = await fixture.connection.rows(
      `SELECT CAST(${column.name} AS CHAR) <=> ${parsed}, LEFT(CAST(${column.name} AS CHAR), 200), LEFT(${parsed}, 200) FROM ${name} WHERE id = ${id}`,
    );
    expect(row?.[0], `${where}: ${row?.[1]} and ${row?.[2]}`).toBe('1');
  }
});
