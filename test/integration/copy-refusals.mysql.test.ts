import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { landedChunks } from '../../engine/copy/copy-chunks-table.ts';
import { CopyRun } from '../../engine/copy/copy-run.ts';
import { CopyPair } from '../../engine/copy/copy-pair.ts';
import { tablePlan } from '../../engine/copy/table-plan.ts';
import { Turns } from '../../engine/copy/turns.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import { startServer } from '../../servers/start-server.ts';
import { CopyFixture } from '../support/copy-fixture.ts';
import { definitionOf } from '../support/stream-fixture.ts';

const stack = new AsyncDisposableStack();
let fixture: CopyFixture;
let there: ServerConnection;

beforeAll(async () => {
  const options = ['--sync-binlog=0', '--innodb-flush-log-at-trx-commit=0'];
  const source = stack.use(await startServer({ flavor: 'mysql-9.7', role: 'source', options }));
  const target = stack.use(await startServer({ flavor: 'mysql-9.7', role: 'target', options }));
  fixture = new CopyFixture(source, target);
  there = stack.use(await ServerConnection.open(definitionOf(target)));
});

afterAll(async () => {
  await stack.disposeAsync();
});

interface Refusal {
  name: string;
  table: string;
  /** The row that is refused is the second of three. */
  rows: string[];
  /** Makes the target narrower than the source, as another version, charset or sql_mode may. */
  change: string;
  code?: string;
  details: Record<string, unknown>;
}

const long = 'é'.repeat(50);
const refusals: Refusal[] = [
  {
    name: 'too long for the column',
    table: 'id INT PRIMARY KEY, v VARCHAR(100)',
    rows: ["(1, 'a')", `(2, '${long}')`, "(3, 'c')"],
    change: 'MODIFY v VARCHAR(5)',
    details: { key: "id='2'", column: 'v', value: `'${'é'.repeat(32)}'… (100 bytes)` },
  },
  {
    name: 'out of range',
    table: 'id INT PRIMARY KEY, v INT',
    rows: ['(1, 1)', '(2, 300)', '(3, 3)'],
    change: 'MODIFY v TINYINT',
    details: { key: "id='2'", column: 'v', value: "'300'" },
  },
  {
    name: 'not in the character set',
    table: 'id INT PRIMARY KEY, v VARCHAR(20) CHARACTER SET latin1',
    rows: ["(1, 'a')", "(2, _latin1'éé')", "(3, 'c')"],
    change: 'MODIFY v VARCHAR(20) CHARACTER SET ascii',
    details: { key: "id='2'", column: 'v' },
  },
  {
    name: 'NULL where there must be a value',
    table: 'a VARCHAR(9), b INT, v INT, PRIMARY KEY (a, b)',
    rows: ["('x', 1, 1)", "('x', 2, NULL)", "('y', 1, 3)"],
    change: 'MODIFY v INT NOT NULL',
    details: { key: "a='x', b='2'", column: 'v', value: 'NULL' },
  },
  {
    name: 'a member that the ENUM lacks',
    table: "id INT PRIMARY KEY, v ENUM('a','b','c')",
    rows: ["(1, 'a')", "(2, 'c')", "(3, 'b')"],
    change: "MODIFY v ENUM('a','b')",
    details: { key: "id='2'", column: 'v', value: "'3'" },
  },
  {
    name: 'against a CHECK constraint',
    table: 'id INT PRIMARY KEY, v INT, CONSTRAINT small CHECK (v < 1000)',
    rows: ['(1, 1)', '(2, 300)', '(3, 3)'],
    change: 'DROP CHECK small, ADD CONSTRAINT small CHECK (v < 100)',
    details: { key: "id='2'", column: 'v', value: "'300'" },
  },
  {
    name: 'two texts that are one under the collation of the primary key',
    table: 'v VARCHAR(20) COLLATE utf8mb4_bin PRIMARY KEY, n INT',
    rows: ["('a', 1)", "('B', 2)", "('b', 3)"],
    change: 'MODIFY v VARCHAR(20) COLLATE utf8mb4_0900_ai_ci',
    code: 'COPY_ROWS_COLLIDE',
    details: { keys: ["v='B'", "v='b'"], index: 'PRIMARY', column: 'v', value: "'b'" },
  },
  {
    name: 'two texts that are one under the collation of another unique key',
    table: 'id INT PRIMARY KEY, v VARCHAR(20) COLLATE utf8mb4_bin, UNIQUE KEY uv (v)',
    rows: ["(1, 'straße')", "(2, 'q')", "(3, 'STRASSE')"],
    change: 'MODIFY v VARCHAR(20) COLLATE utf8mb4_0900_ai_ci',
    code: 'COPY_ROWS_COLLIDE',
    details: { keys: ["id='1'", "id='3'"], index: 'uv', column: 'v', value: "'STRASSE'" },
  },
];

describe.each(['ON', 'OFF'])('local_infile %s', (localInfile) => {
  beforeAll(async () => {
    await there.write(`SET GLOBAL local_infile = ${localInfile}`);
  });

  afterAll(async () => {
    await there.write('SET GLOBAL local_infile = ON');
  });

  test.each(refusals)('$name: the copy stops and names the row', async (refusal) => {
    const { table, rows, change, code = 'COPY_VALUE_REFUSED', details } = refusal;
    await fixture.onSource(
      'DROP DATABASE IF EXISTS narrow',
      'CREATE DATABASE narrow CHARACTER SET utf8mb4',
      `CREATE TABLE narrow.t (${table})`,
      Buffer.from(`INSERT INTO narrow.t VALUES ${rows.join(',')}`).toString('latin1'),
    );
    const tables = await fixture.prepare('narrow');
    await there.write(`ALTER TABLE narrow.t ${change}`);
    const failure = await fixture.copy(tables, { connections: 1 }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code, details: { table: 't', ...details } });
    expect(String(failure)).toContain('narrow.t');
    // Nothing of it was kept: neither the rows before it nor the marker.
    expect(await there.rows('SELECT COUNT(*) FROM narrow.t')).toEqual([['0']]);
    expect(await landedChunks(there, 'narrow', 't')).toEqual([]);
  });
});

test('a unique value that moved between two chunks is no collision: the newcomer takes the place', async () => {
  await fixture.onSource(
    'CREATE DATABASE moved',
    'CREATE TABLE moved.t (id INT PRIMARY KEY, v VARCHAR(9), UNIQUE KEY ((LOWER(v))))',
    "INSERT INTO moved.t VALUES (1,'x'),(2,'y'),(5,'z')",
  );
  const [table] = await fixture.prepare('moved');
  if (table === undefined) throw new Error('no table');
  const limits = { packetBytesMax: 1 << 26, turns: new Turns() };
  const run = await CopyRun.claim(there, 'moved');
  const pair = async () => CopyPair.open(definitionOf(fixture.source), definitionOf(fixture.target), 'mysql');
  const [first, second] = [await pair(), await pair()];
  const chunk = { seq: 1, lower: ['2'], upper: null };
  await first.copy('moved', table, {
    plan: tablePlan(table, 'load_data', limits),
    chunk: { seq: 0, lower: null, upper: ['2'] },
    run,
    again: false,
  });
  // Read before, (1, 'x') is not true any more when (5, 'x') comes.
  await fixture.onSource("UPDATE moved.t SET v = 'w' WHERE id = 1", "UPDATE moved.t SET v = 'X' WHERE id = 5");
  const refused = second.copy('moved', table, {
    plan: tablePlan(table, 'load_data', limits),
    chunk,
    run,
    again: false,
  });
  await expect(refused).rejects.toMatchObject({ code: 'COPY_VALUE_REFUSED' });
  second.destroy();
  expect(
    await first.copy('moved', table, { plan: tablePlan(table, 'insert', limits), chunk, run, again: true }),
  ).toMatchObject({ rows: 1 });
  first.destroy();
  expect(await there.rows('SELECT id, v FROM moved.t ORDER BY id')).toEqual([
    ['2', 'y'],
    ['5', 'X'],
  ]);
});

test.each([
  { name: 'the newcomer is deleted', changes: ['DELETE FROM seen.t WHERE id=5'], left: ['1|a|1', '2|b|2', '3|c|3'] },
  {
    name: 'the newcomer takes other values, of which another row has given one up',
    changes: ['UPDATE seen.t SET w=8 WHERE id=2', "UPDATE seen.t SET v='q', w=2 WHERE id=5"],
    left: ['1|a|1', '3|c|3', '5|q|2'],
  },
  {
    name: 'the row that is there is deleted',
    changes: ['DELETE FROM seen.t WHERE id=1'],
    left: ['2|b|2', '3|c|3', '5|A|9'],
  },
  {
    name: 'the row that is there gives its value up',
    changes: ["UPDATE seen.t SET v='q' WHERE id=1"],
    left: ['2|b|2', '3|c|3', '5|A|9'],
  },
])(
  'of two rows that collide none is lost that the stream does not bring back, when $name meanwhile',
  async ({ changes, left }) => {
    await fixture.onSource(
      'DROP DATABASE IF EXISTS seen',
      'CREATE DATABASE seen',
      'CREATE TABLE seen.t (id INT PRIMARY KEY, v VARCHAR(9) COLLATE utf8mb4_bin, w INT, UNIQUE uv (v), UNIQUE uw (w))',
      "INSERT INTO seen.t VALUES (1,'a',1),(2,'b',2),(3,'c',3)",
    );
    const [table] = await fixture.prepare('seen');
    if (table === undefined) throw new Error('no table');
    await there.write('ALTER TABLE seen.t MODIFY v VARCHAR(9) COLLATE utf8mb4_0900_ai_ci');
    const run = await CopyRun.claim(there, 'seen');
    const plan = tablePlan(table, 'insert', { packetBytesMax: 1 << 26, turns: new Turns() });
    const pair = await CopyPair.open(definitionOf(fixture.source), definitionOf(fixture.target), 'mysql');
    await pair.copy('seen', table, { plan, chunk: { seq: 0, lower: null, upper: ['3'] }, run, again: false });
    // The same as row 1 on the target alone.
    await fixture.onSource("INSERT INTO seen.t VALUES (5, 'A', 9)");
    const rows = pair.reader.rows.bind(pair.reader);
    let looks = 0;
    pair.reader.rows = async (sql) => {
      // When both rows are asked for, for the first time.
      if (sql.includes(') UNION ALL (SELECT 1,')) looks += 1;
      if (looks === 1) await fixture.onSource(...changes.splice(0));
      return await rows(sql);
    };
    await pair.copy('seen', table, { plan, chunk: { seq: 1, lower: ['3'], upper: null }, run, again: false });
    pair.destroy();
    expect(looks).toBeGreaterThan(0);
    const found = await there.rows('SELECT id, v, w FROM seen.t ORDER BY id');
    expect(found.map((row) => row.join('|'))).toEqual(left);
  },
);

test('without LOAD DATA a row must fit into one packet of the target', async () => {
  await fixture.onSource(
    'CREATE DATABASE packet',
    'CREATE TABLE packet.t (id INT PRIMARY KEY, b LONGBLOB)',
    "INSERT INTO packet.t VALUES (1, 'a'), (2, REPEAT('b', 2000000))",
  );
  const [[before] = []] = await there.rows('SELECT @@GLOBAL.max_allowed_packet');
  await there.write('SET GLOBAL max_allowed_packet = 1048576, GLOBAL local_infile = OFF');
  try {
    const tables = await fixture.prepare('packet');
    await expect(fixture.copy(tables)).rejects.toThrow(
      /packet\.t, key id='2'.*max_allowed_packet of the target is 1048576/,
    );
    await there.write('SET GLOBAL local_infile = ON');
    expect(await fixture.copy(tables)).toMatchObject({ rows: 2 });
  } finally {
    await there.write(`SET GLOBAL max_allowed_packet = ${before}, GLOBAL local_infile = ON`);
  }
  expect(await fixture.different(await fixture.tables('packet'))).toEqual([]);
});
