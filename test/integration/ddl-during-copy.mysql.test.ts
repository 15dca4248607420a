import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StreamSchema } from '../../engine/ddl/stream-schema.ts';
import type { Table } from '../../engine/schema/table.ts';
import { ServerConnection, type Bytes } from '../../engine/server/connection.ts';
import { executedPosition } from '../../engine/server/position.ts';
import { ProgressRow } from '../../engine/sidecar.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { CopyFixture } from '../support/copy-fixture.ts';
import { definitionOf } from '../support/stream-fixture.ts';
import { applyDdl } from '../support/ddl-replication.ts';

let fixture: CopyFixture;
let source: ServerConnection;
let target: ServerConnection;
const stack = new AsyncDisposableStack();

beforeAll(async () => {
  const pair = stack.use(await startServerPair());
  fixture = new CopyFixture(pair.source, pair.target);
  source = stack.use(await ServerConnection.open(definitionOf(pair.source)));
  target = stack.use(await ServerConnection.open(definitionOf(pair.target)));
});
afterAll(async () => stack.disposeAsync());

const TABLES = [
  "CREATE TABLE t (id INT PRIMARY KEY, e ENUM('a','b','c'), l VARCHAR(20) CHARACTER SET latin1, x INT, y INT, d DATETIME)",
  'CREATE TABLE u LIKE t',
];
const ROWS = [
  "INSERT INTO t VALUES (1, 'a', _utf8mb4'\xc3\xa9', 1, 2, '2024-01-01 00:00:00'), (2, 'c', 'x', 3, 4, NULL)",
  "INSERT INTO u VALUES (7, 'b', 'u', 7, 8, NULL)",
];

let number = 0;

/** Tables are looked at; `changes` run on the source; only then rows are copied, and the stream goes on from the beginning. */
async function copiedAfter(changes: Bytes[]): Promise<string> {
  number += 1;
  const schema = `during${number}`;
  await source.write(`CREATE DATABASE ${schema}`);
  await source.write(`USE ${schema}`);
  for (const statement of [...TABLES, ...ROWS]) await source.write(statement);
  const tables = await fixture.prepare(schema);
  await beginAt(schema, tables);
  for (const statement of changes) await source.write(statement);
  const { stamp } = await fixture.copy(tables);
  await applyDdl({ source, target, database: schema, copiedUntil: stamp, exactFrom: stamp });
  return schema;
}

/** P0: position and definitions, as the copy keeps them before the first row. */
async function beginAt(schema: string, tables: Table[]): Promise<void> {
  await new ProgressRow(schema, 'forward').reset(target, (await executedPosition(source, 'mysql')).toString());
  await new StreamSchema(schema, 'forward').load(target, async () => tables);
}

async function contents(connection: ServerConnection, schema: string): Promise<unknown> {
  const names = await connection.rows(`SHOW TABLES FROM ${schema}`);
  const found: Record<string, unknown> = {};
  for (const [name] of names) found[name ?? ''] = await connection.rows(`SELECT * FROM ${schema}.${name} ORDER BY 1`);
  return found;
}

describe('a table that changes between the beginning of the copy and its rows', () => {
  test.each<[what: string, changes: Bytes[]]>([
    ['ENUM in another order', ["ALTER TABLE t MODIFY e ENUM('c','b','a')"]],
    ['another charset', ['ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4']],
    ['columns that exchange names', ['ALTER TABLE t RENAME COLUMN x TO y, RENAME COLUMN y TO x']],
    ['tables that exchange names', ['RENAME TABLE t TO v, u TO t, v TO u']],
    [
      'DATETIME to TIMESTAMP',
      ["SET time_zone='+05:00'", 'ALTER TABLE t MODIFY d TIMESTAMP NULL', "SET time_zone='+00:00'"],
    ],
    [
      'rows numbered, one of them gone',
      ['ALTER TABLE t ADD COLUMN n INT AUTO_INCREMENT UNIQUE', 'DELETE FROM t WHERE id=1'],
    ],
    ['rows numbered in another word', ['ALTER TABLE t ADD COLUMN n SERIAL', 'DELETE FROM t WHERE id=1']],
    ['a column renamed', ['ALTER TABLE t RENAME COLUMN x TO z']],
    ['a column dropped', ['ALTER TABLE t DROP COLUMN x']],
    ['a table renamed', ['RENAME TABLE t TO v']],
  ])('stops: %s', async (_, changes) => {
    await expect(copiedAfter(changes)).rejects.toMatchObject({ code: 'COPY_SCHEMA_CHANGED' });
  });

  test('stops: a unique key whose values move afterwards, and goes on without it', async () => {
    const changes = [
      'ALTER TABLE t ADD UNIQUE KEY k (x)',
      'UPDATE t SET x=9 WHERE id=1',
      'UPDATE t SET x=1 WHERE id=2',
    ];
    const between = ['INSERT INTO t (id, x) VALUES (5, 5)'];
    number += 1;
    const schema = `during${number}`;
    await source.write(`CREATE DATABASE ${schema}`);
    await source.write(`USE ${schema}`);
    for (const statement of [...TABLES, ...ROWS]) await source.write(statement);
    const tables = await fixture.prepare(schema);
    await beginAt(schema, tables);
    // A copy of two chunks: row 1 is read first, row 2 behind the moves.
    await target.write(`INSERT INTO ${schema}.t (id, x) VALUES (1, 1)`);
    for (const statement of [...changes, ...between]) await source.write(statement);
    await target.write(`INSERT INTO ${schema}.t (id, x) VALUES (2, 1)`);
    const until = (await executedPosition(source, 'mysql')).toString();
    const stream = { source, target, database: schema, copiedUntil: until, exactFrom: until };
    await expect(applyDdl(stream)).rejects.toMatchObject({ code: 'DDL_FAILED' });
    await applyDdl({ ...stream, decisions: ['skip'] });
    const rows = async (connection: ServerConnection) => connection.rows(`SELECT id, x FROM ${schema}.t ORDER BY id`);
    expect(await rows(target)).toEqual(await rows(source));
    await target.write(`ALTER TABLE ${schema}.t ADD UNIQUE KEY k (x)`);
  });

  test.each<[what: string, changes: Bytes[]]>([
    ['ENUM members added', ["ALTER TABLE t MODIFY e ENUM('a','b','c','d')", "UPDATE t SET e='b' WHERE id=1"]],
    [
      'columns added',
      ["ALTER TABLE t ADD COLUMN n VARCHAR(9) NOT NULL DEFAULT 'n' FIRST", "UPDATE t SET n='new' WHERE id=2"],
    ],
    ['longer texts', ['ALTER TABLE t MODIFY l VARCHAR(60) CHARACTER SET latin1', "UPDATE t SET l='y' WHERE id=2"]],
    ['indexes', ['ALTER TABLE t ADD UNIQUE KEY (x), ADD INDEX (y)', 'UPDATE t SET x=x+10']],
    ['emptied and filled', ['TRUNCATE t', 'INSERT INTO t (id, x) VALUES (9, 9)']],
    [
      'made anew',
      [
        'DROP TABLE t',
        'CREATE TABLE t (id INT PRIMARY KEY, e INT, l INT, x INT, y INT, d INT)',
        'INSERT INTO t (id, x) VALUES (5, 5)',
      ],
    ],
  ])('goes on: %s', async (_, changes) => {
    const schema = await copiedAfter(changes);
    expect(await contents(target, schema)).toEqual(await contents(source, schema));
  });
});
