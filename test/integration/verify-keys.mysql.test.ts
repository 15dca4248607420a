import { afterAll, beforeAll, expect, test } from 'vitest';
import { VerifyFixture } from '../support/verify-fixture.ts';

let pair: VerifyFixture;
/** Small chunks, so that every table here has many. */
const chunkBytes = 16 * 1024;

beforeAll(async () => {
  pair = await VerifyFixture.start('mysql-9.7');
  await pair.both('SET SESSION cte_max_recursion_depth = 1000000', "SET SESSION sql_mode = ''");
}, 180_000);

afterAll(async () => {
  await pair?.[Symbol.asyncDispose]();
});

async function fill(table: string, columns: string, rows: number, values: string): Promise<void> {
  await pair.both(
    `CREATE TABLE ${table} (${columns})`,
    `INSERT INTO ${table} WITH RECURSIVE n AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM n WHERE i < ${rows - 1}) SELECT ${values} FROM n`,
    `ANALYZE TABLE ${table}`,
  );
}

test('one flipped bit among 200,000 rows', async () => {
  await fill(
    'big',
    'id BIGINT PRIMARY KEY, a CHAR(60), b VARBINARY(60), at DATETIME(3)',
    200_000,
    'i * 3, SHA2(i, 224), UNHEX(SHA2(i + 1, 256)), FROM_UNIXTIME(1700000000 + i / 1000)',
  );
  expect(await pair.verifyOne('big', { chunkBytes: 2 ** 20 })).toMatchObject({ state: 'equal', rows: 200_000 });

  await pair.onTarget(
    'UPDATE big SET b = CONCAT(LEFT(b, 10), CHAR(ASCII(SUBSTR(b, 11, 1)) ^ 16), SUBSTR(b, 12)) WHERE id = 370368',
  );
  const view = await pair.verifyOne('big', { chunkBytes: 2 ** 20 });
  expect(view).toMatchObject({
    state: 'different',
    rows: 200_000,
    differencesTotal: 1,
    differences: [{ key: '(370368)', kind: 'different', columns: ['b'] }],
  });
  expect(view.chunksDone).toBe(view.chunksTotal);
  expect(view.chunksDone).toBeGreaterThan(10);
});

test('two rows that have changed places', async () => {
  await fill('places', 'id INT PRIMARY KEY, a VARCHAR(20)', 100, "i, CONCAT('v', i)");
  await pair.onTarget("UPDATE places SET a = IF(id = 7, 'v8', 'v7') WHERE id IN (7, 8)");
  expect(await pair.verifyOne('places')).toMatchObject({ differencesTotal: 2 });
});

const KEYS: [what: string, columns: string, values: string][] = [
  ['sparse integers', 'k BIGINT UNSIGNED PRIMARY KEY, v INT NOT NULL', 'i * 1000003 + i * i, i'],
  ['negative integers', 'k BIGINT PRIMARY KEY, v INT NOT NULL', '-9223372036854775808 + i * 7, i'],
  ['composite', 'k INT, l VARCHAR(20), v INT NOT NULL, PRIMARY KEY (k, l)', "i % 7, CONCAT('x', i), i"],
  [
    'three columns',
    'k INT, l CHAR(4), m DATETIME(6), v INT NOT NULL, PRIMARY KEY (k, l, m)',
    'i % 3, CHAR(65 + i % 20), FROM_UNIXTIME(1700000000 + i / 1000), i',
  ],
  [
    'case-insensitive strings',
    'k VARCHAR(40) PRIMARY KEY, v INT NOT NULL',
    "CONCAT(CHAR(IF(i % 2, 65, 97) + i % 26), '\\'\\\\', i), i",
  ],
  ['binary strings', 'k VARBINARY(20) PRIMARY KEY, v INT NOT NULL', 'UNHEX(LEFT(SHA2(i, 256), 20)), i'],
  ['BINARY with zeros', 'k BINARY(16) PRIMARY KEY, v INT NOT NULL', "UNHEX(CONCAT(LPAD(HEX(i), 8, '0'), '0000')), i"],
  ['latin1', 'k VARCHAR(20) CHARACTER SET latin1 PRIMARY KEY, v INT NOT NULL', "CONCAT('ü', i), i"],
  ['utf16', 'k VARCHAR(20) CHARACTER SET utf16 PRIMARY KEY, v INT NOT NULL', "CONCAT('ü', i), i"],
  ['decimals', 'k DECIMAL(30,10) PRIMARY KEY, v INT NOT NULL', 'i / 7, i'],
  ['doubles', 'k DOUBLE PRIMARY KEY, v INT NOT NULL', 'EXP(i / 7) - 1, i'],
  ['dates', 'k DATETIME(3) PRIMARY KEY, v INT NOT NULL', 'FROM_UNIXTIME(1700000000 + i / 1000), i'],
  ['ENUM first', "k ENUM('z','y','x'), l INT, v INT NOT NULL, PRIMARY KEY (k, l)", 'i % 3 + 1, i, i'],
  ['a unique key', 'k INT NOT NULL UNIQUE, v INT NOT NULL', 'i, i'],
];

test.each(KEYS)('key: %s', async (what, columns, values) => {
  const table = `k_${what.toLowerCase().replaceAll(/\W/g, '_')}`;
  await fill(table, columns, 3000, values);
  const equal = await pair.verifyOne(table, { chunkBytes });
  expect(equal).toMatchObject({ state: 'equal', rows: 3000 });
  expect(equal.chunksDone).toBeGreaterThan(2);

  await pair.onTarget(`DELETE FROM ${table} WHERE v = 500`, `UPDATE ${table} SET v = -1 WHERE v = 1500`);
  await pair.onSource(`DELETE FROM ${table} WHERE v IN (0, 2999)`);
  const view = await pair.verifyOne(table, { chunkBytes });
  expect(view).toMatchObject({ state: 'different', rows: 2998, differencesTotal: 4 });
  expect(view.differences.map(({ kind, columns: names }) => [kind, ...names].join(' ')).sort()).toEqual([
    'different v',
    'extra',
    'extra',
    'missing',
  ]);
});

test('a key with the same collation weight and other bytes is another row', async () => {
  await pair.both('CREATE TABLE twins (k VARCHAR(10) PRIMARY KEY, v INT)');
  await pair.onSource("INSERT INTO twins VALUES ('a', 1), ('é', 2)");
  await pair.onTarget("INSERT INTO twins VALUES ('A', 1), (_utf8mb4 x'65CC81', 2)");
  const view = await pair.verifyOne('twins');
  expect(view.differences.map(({ key, kind }) => `${kind} ${key}`).sort()).toEqual([
    'extra (A)',
    'extra (e\u0301)',
    'missing (a)',
    'missing (é)',
  ]);
});

test('empty on both sides, on one, and on the other', async () => {
  await pair.both('CREATE TABLE nothing (id INT PRIMARY KEY)', 'CREATE TABLE half (id INT PRIMARY KEY)');
  expect(await pair.verifyOne('nothing')).toMatchObject({ state: 'equal', rows: 0, chunksDone: 1, chunksTotal: 1 });
  await pair.onTarget('INSERT INTO half VALUES (1)');
  expect(await pair.verifyOne('half')).toMatchObject({ differences: [{ key: '(1)', kind: 'extra', columns: [] }] });
  await pair.onTarget('DELETE FROM half');
  await pair.onSource('INSERT INTO half VALUES (1)');
  expect(await pair.verifyOne('half')).toMatchObject({ differences: [{ key: '(1)', kind: 'missing', columns: [] }] });
});

test('all differences are counted, the first hundred kept', async () => {
  await fill('gone', 'id INT PRIMARY KEY, a INT', 5000, 'i, i');
  await pair.onTarget('DELETE FROM gone WHERE id >= 1000');
  const view = await pair.verifyOne('gone', { chunkBytes });
  expect(view.differencesTotal).toBe(4000);
  expect(view.differences).toHaveLength(100);
});

test('more rows in a range than are listed at once', async () => {
  await pair.both('CREATE TABLE heap (id INT PRIMARY KEY, a INT)');
  await pair.onSource('INSERT INTO heap VALUES (1, 1)');
  await pair.onTarget(
    'INSERT INTO heap WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 120001) SELECT i, 1 FROM n',
    'DELETE FROM heap WHERE id BETWEEN 2 AND 110001',
  );
  await pair.onSource(
    'INSERT INTO heap WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 60001) SELECT i + 200000, 1 FROM n',
  );
  await pair.both('ANALYZE TABLE heap');
  const view = await pair.verifyOne('heap', { chunkBytes: 2 ** 30 });
  expect(view).toMatchObject({ chunksTotal: 1, rows: 60_002, differencesTotal: 70_001 });
});

test('several tables at once, with progress', async () => {
  await pair.both(
    'CREATE TABLE m1 (id INT PRIMARY KEY)',
    'CREATE TABLE m2 (id INT PRIMARY KEY)',
    'INSERT INTO m1 VALUES (1), (2)',
    'INSERT INTO m2 VALUES (1)',
  );
  await pair.onTarget('DELETE FROM m2');
  const states: string[] = [];
  const view = await pair.verify(['m1', 'm2'], { onProgress: ({ state }) => states.push(state) });
  expect(view).toMatchObject({ state: 'different', rows: 3 });
  expect(view.tables.map(({ name, state }) => `${name} ${state}`).sort()).toEqual(['m1 equal', 'm2 different']);
  expect([states[0], states.at(-1)]).toEqual(['running', 'different']);
});
