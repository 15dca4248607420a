import { afterAll, beforeAll, expect, test } from 'vitest';
import { bytesOf } from '../../engine/server/connection.ts';
import { executedPosition } from '../../engine/server/position.ts';
import { readBetween } from '../../engine/verify/source-read.ts';
import { VerifyFixture } from '../support/verify-fixture.ts';

let pair: VerifyFixture;

beforeAll(async () => {
  pair = await VerifyFixture.start('mariadb-11.8');
  await pair.both("SET SESSION sql_mode = ''");
}, 180_000);

afterAll(async () => {
  await pair?.[Symbol.asyncDispose]();
});

const COLUMNS = `id INT PRIMARY KEY,
  i BIGINT UNSIGNED, n DECIMAL(38,20), f FLOAT, d DOUBLE, y YEAR, b BIT(64), e ENUM('a','b'), s SET('a','b','c'),
  dt DATETIME(6), ts TIMESTAMP(3) NULL, da DATE, ti TIME(2), v VARCHAR(50), l1 VARCHAR(20) CHARACTER SET latin1,
  u16 VARCHAR(20) CHARACTER SET utf16, vb VARBINARY(20), t MEDIUMTEXT, bl BLOB, p POINT`;

const ROWS = [
  "(1, 18446744073709551615, 1.1, 0.1, 0.1, 2026, b'1', 'a', 'a,c', '2026-01-02 03:04:05.000600', '2026-01-02 03:04:05.7', '2026-01-02', '-01:02:03.40', 'é', 'é', 'é', x'00FF', 'text', x'00', POINT(1, 2))",
  "(2, 0, -0.00000000000000000001, -1.1754943508222875e-38, -2.2250738585072014e-308, 1901, b'1000000000000000000000000000000000000000000000000000000000000000', 'b', '', '0000-00-00', '2038-01-19 03:14:07', '1000-01-01', '838:59:59', '', ' ', 'a ', '', '', '', NULL)",
  '(3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)',
  "(4, 9007199254740993, 123456789012345678.00000000000000000001, 3.4028234663852886e38, 1.7976931348623157e308, 2155, b'0', 0, 'b', '9999-12-31 23:59:59.999999', '1970-01-01 00:00:01', '9999-12-31', '00:00:00.01', '😀', '\\\\', '一', '-', REPEAT('x', 100000), REPEAT('y', 60000), POINT(0.1, -0.3))",
  "(5, 1, 0, -1.2345678e-10, -1.2345678e-10, 2000, b'11', 'a', 'a', '2026-01-02', '2026-01-02', '0000-00-00', '0', 'a', 'a', 'a', 'a', 'a', 'a', POINT(1e15, 1e-15))",
];

test('the same values are the same on MariaDB and MySQL', async () => {
  await pair.both(
    `CREATE TABLE every_type (${COLUMNS}) CHARACTER SET utf8mb4`,
    ...ROWS.map((row) => `INSERT INTO every_type VALUES ${row}`),
  );
  expect(await pair.verifyOne('every_type')).toMatchObject({ state: 'equal', rows: ROWS.length, differences: [] });
});

test('and others are not', async () => {
  const changes: Record<string, string> = {
    i: '18446744073709551614',
    n: '1.10000000000000000001',
    f: '0.10000000894069672e0',
    d: '0.10000000000000002e0',
    y: '2027',
    b: "b'10'",
    e: "'b'",
    s: "'a'",
    dt: "'2026-01-02 03:04:05.000601'",
    ts: "'2026-01-02 03:04:05.701'",
    da: "'2026-01-03'",
    ti: "'01:02:03.40'",
    v: "'É'",
    l1: "'É'",
    u16: "'É'",
    vb: "x'00FE'",
    t: "'Text'",
    bl: "x'0000'",
    p: 'ST_GeomFromText("POINT(1 2)", 3857)',
  };
  await pair.onTarget(
    `UPDATE every_type SET ${Object.entries(changes)
      .map(([column, value]) => `${column} = ${value}`)
      .join(', ')} WHERE id = 1`,
  );
  expect((await pair.verifyOne('every_type')).differences).toMatchObject([
    { key: '(1)', kind: 'different', columns: Object.keys(changes) },
  ]);
  expect(await pair.repair('every_type')).toMatchObject({ repaired: ['1'], left: [] });
  expect(await pair.verifyOne('every_type')).toMatchObject({ state: 'equal' });
});

test('JSON, UUID and INET6, which are text on MySQL', async () => {
  await pair.onSource(
    'CREATE TABLE odd (u UUID PRIMARY KEY, j JSON, a INET6, n INET4) CHARACTER SET utf8mb4',
    `INSERT INTO odd VALUES ('6ccd780c-baba-1026-9564-5b8c656024db', '{"b": 1,  "a": [1.0]}', '2001:db8::1', '10.0.0.1'), ('6ccd780c-baba-1026-9564-5b8c656024dc', NULL, NULL, NULL)`,
  );
  await pair.onTarget(
    'CREATE TABLE odd (u CHAR(36) PRIMARY KEY, j LONGTEXT COLLATE utf8mb4_bin, a VARCHAR(39), n VARCHAR(15)) CHARACTER SET utf8mb4',
    `INSERT INTO odd VALUES ('6ccd780c-baba-1026-9564-5b8c656024db', '{"b": 1,  "a": [1.0]}', '2001:db8::1', '10.0.0.1'), ('6ccd780c-baba-1026-9564-5b8c656024dc', NULL, NULL, NULL)`,
  );
  expect(await pair.verifyOne('odd')).toMatchObject({ state: 'equal', rows: 2, differences: [] });
  await pair.onTarget(`UPDATE odd SET j = '{"b": 1, "a": [1.0]}', a = '2001:db8::2' WHERE a IS NOT NULL`);
  expect((await pair.verifyOne('odd')).differences).toMatchObject([
    { key: '(6ccd780c-baba-1026-9564-5b8c656024db)', kind: 'different', columns: ['j', 'a'] },
  ]);
});

test('a key of several charsets', async () => {
  await pair.both(
    'CREATE TABLE mixed (l VARCHAR(10) CHARACTER SET latin1, u VARCHAR(10) CHARACTER SET utf16, g VARCHAR(10) CHARACTER SET utf8mb4, PRIMARY KEY (l, u, g))',
    "INSERT INTO mixed VALUES ('é', '一', '😀'), ('a', 'b', 'c')",
  );
  expect(await pair.verifyOne('mixed')).toMatchObject({ state: 'equal', rows: 2 });
  await pair.onTarget("DELETE FROM mixed WHERE l = 'é'");
  expect((await pair.verifyOne('mixed')).differences).toMatchObject([
    { key: '(é, 一, 😀)', kind: 'missing', columns: [] },
  ]);
});

test('a read has its exact place in the binlog', async () => {
  await pair.onSource('CREATE TABLE counter (n INT PRIMARY KEY)');
  for (let n = 0; n < 5; n += 1) await pair.onSource(`INSERT INTO counter VALUES (${n})`);
  const from = await executedPosition(pair.source, 'mariadb');
  const read = await readBetween({
    connection: pair.source,
    flavor: 'mariadb',
    from,
    sql: bytesOf('SELECT n FROM counter ORDER BY n'),
    signal: new AbortController().signal,
  });
  expect(read?.rows).toHaveLength(5);
  expect(read?.until.toString()).toBe(from.toString());
});
