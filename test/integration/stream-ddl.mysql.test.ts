import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parsePosition } from '../../core/gtid.ts';
import type { ImportOptions } from '../../engine/api.ts';
import type { DdlDecision } from '../../engine/ddl/ddl-policy.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import { executedPosition } from '../../engine/server/position.ts';
import { createSidecar, ProgressRow } from '../../engine/sidecar.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { ChangeStream } from '../../engine/stream/change-stream.ts';
import { definitionOf, readUntil } from '../support/stream-fixture.ts';
import { replicateDdl } from '../support/ddl-replication.ts';

const PROCESS = fileURLToPath(new URL('../support/replication-process.ts', import.meta.url));

let pair: Awaited<ReturnType<typeof startServerPair>>;
let source: ServerConnection;
let target: ServerConnection;
let number = 0;
let schema: string;
let names: string[];

beforeAll(async () => {
  pair = await startServerPair();
  source = await ServerConnection.open(definitionOf(pair.source));
  target = await ServerConnection.open(definitionOf(pair.target));
  await createSidecar(target);
});

afterAll(async () => {
  await source?.close();
  await target?.close();
  await pair?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  number += 1;
  schema = `ddl${number}`;
  names = [];
  for (const connection of [source, target]) {
    await connection.write(`CREATE DATABASE ${schema}`);
    await connection.write(`USE ${schema}`);
    for (const table of ['a', 'b', 'c'])
      await connection.write(`CREATE TABLE ${table} (id INT PRIMARY KEY, v INT, w VARCHAR(20) DEFAULT 'w')`);
  }
  await new ProgressRow(schema, 'forward').reset(target, (await executedPosition(source, 'mysql')).toString());
});

async function run(...statements: string[]): Promise<void> {
  for (const statement of statements) await source.write(statement);
}

function start(policy: ImportOptions['ddl'], decisions: DdlDecision[] = [], { allTables = false } = {}) {
  const onTables = async (tables: string[]) => void (names = tables);
  const replication = replicateDdl({ source, target, database: schema, policy, decisions, allTables, onTables });
  return {
    replication,
    caughtUp: async () => replication.waitFor(await executedPosition(source, 'mysql'), AbortSignal.timeout(30_000)),
    stop: async () => replication.stop(),
  };
}

/** As after the copy: the definitions are known, and nothing has happened since. */
async function startAndStop(): Promise<void> {
  const { caughtUp, stop } = start('EXEC');
  await caughtUp();
  await stop();
}

async function contents(connection: ServerConnection): Promise<Record<string, unknown>> {
  const tables = await inspectTables(connection, schema, 'all');
  const found: Record<string, unknown> = {};
  for (const { name, columns, createSql } of tables) {
    const rows = await connection.rows(`SELECT * FROM ${schema}.\`${name}\` ORDER BY 1`);
    found[name] = { rows, columns: columns.map((column) => column.name), createSql };
  }
  return found;
}

/** Between any two of them, rows of the table as it then is. */
const HISTORY = [
  "INSERT INTO a VALUES (1, 1, 'x'), (2, 2, 'y')",
  'ALTER TABLE a ADD COLUMN extra INT NOT NULL DEFAULT 7 AFTER id',
  "INSERT INTO a VALUES (3, 33, 3, 'z')",
  'UPDATE a SET extra = 8 WHERE id = 1',
  'ALTER TABLE a DROP COLUMN w',
  'INSERT INTO a VALUES (4, 44, 4)',
  'ALTER TABLE a MODIFY v BIGINT UNSIGNED',
  'INSERT INTO a VALUES (5, 55, 18446744073709551615)',
  'ALTER TABLE a RENAME COLUMN extra TO v2, RENAME COLUMN v TO extra',
  'UPDATE a SET v2 = 9 WHERE id = 5',
  "INSERT INTO b VALUES (1, 1, 'gone')",
  'TRUNCATE b',
  "INSERT INTO b VALUES (2, 2, 'kept')",
  "INSERT INTO c VALUES (1, 1, 'of c')",
  // Every definition is the same before and after.
  'RENAME TABLE b TO tmp, c TO b, tmp TO c',
  "INSERT INTO b VALUES (5, 5, 'of c, renamed')",
  "INSERT INTO c VALUES (6, 6, 'of b, renamed')",
  'RENAME TABLE b TO renamed',
  "INSERT INTO renamed VALUES (7, 7, 'under a new name')",
  'DELETE FROM renamed WHERE id = 1',
  'DROP TABLE c',
  "CREATE TABLE c (k VARCHAR(10) PRIMARY KEY, e ENUM('x','y'))",
  "INSERT INTO c VALUES ('new', 'y')",
  "ALTER TABLE c MODIFY e ENUM('y','x','z')",
  "INSERT INTO c VALUES ('later', 'z')",
];
const DDL = HISTORY.filter((sql) => /^(ALTER|TRUNCATE|RENAME|DROP|CREATE)/.test(sql));

test('any number of DDL statements behind, each row is read as its table then was', async () => {
  await startAndStop();
  await run(...HISTORY);
  const before = await executedPosition(target, 'mysql');
  const { caughtUp, stop } = start('EXEC');
  await caughtUp();
  await stop();
  // A stream back, and the watch for strays, know all of it for ours (I7), DROP TABLE too, which is logged without comments.
  await using back = await ChangeStream.open({
    server: target.server,
    flavor: 'mysql',
    from: before,
    signal: new AbortController().signal,
    bufferBytesMax: 2 ** 24,
    inScope: (name) => name === schema,
    tableOf: () => undefined,
    namesImported: (name) => name === schema,
  });
  const logged = await readUntil(back, before, await executedPosition(target, 'mysql'));
  expect(logged.filter(({ ddl }) => ddl !== null)).toHaveLength(DDL.length);
  expect(logged.filter(({ ours }) => !ours)).toEqual([]);
  expect(await contents(target)).toEqual(await contents(source));
  expect(Object.keys(await contents(target))).toEqual(['a', 'c', 'renamed']);
  expect(names.toSorted()).toEqual(['a', 'c', 'renamed']);
});

test('killed between each DDL statement and its position, it is neither run twice nor left out', async () => {
  await startAndStop();
  await run(...HISTORY);
  const position = await executedPosition(source, 'mysql');
  const progress = new ProgressRow(schema, 'forward');
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-ddl-'));
  const settings = { importId: schema, origin: source.server, destination: target.server, database: schema };
  let kills = 0;
  try {
    for (; ; kills += 1) {
      const file = join(folder, String(kills));
      const child = spawn(process.execPath, [PROCESS, JSON.stringify(settings)], {
        env: { ...process.env, SWITCHYARD_FAILPOINTS: `ddl.executed=kill:${file}` },
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      const ended = once(child, 'exit');
      while (child.exitCode === null && child.signalCode === null && !(await isThere())) await pause();
      child.kill('SIGTERM');
      await ended;
      if (!existsSync(file)) break;
    }
    expect(await isThere()).toBe(true);
    expect(kills).toBe(DDL.length);
    expect(await contents(target)).toEqual(await contents(source));
  } finally {
    rmSync(folder, { recursive: true });
  }

  async function isThere(): Promise<boolean> {
    return parsePosition('mysql', (await progress.read(target)) ?? '').covers(position);
  }
  async function pause(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}, 300_000);

describe('made on the target by the operator, with the policy STOP', () => {
  test('the stream goes on with the tables as they are behind the statement, not as they are now', async () => {
    await startAndStop();
    await run(
      'ALTER TABLE a ADD COLUMN one INT',
      "INSERT INTO a VALUES (1, 1, 'w', 11)",
      'ALTER TABLE a DROP COLUMN v',
      "INSERT INTO a VALUES (2, 'w', 22)",
    );
    await expect(start('STOP').replication.done).rejects.toMatchObject({ code: 'DDL_STOPPED' });
    await target.write('ALTER TABLE a ADD COLUMN one INT');
    await expect(start('STOP', ['skip']).replication.done).rejects.toMatchObject({
      code: 'DDL_STOPPED',
      message: expect.stringContaining('DROP COLUMN v'),
    });
    expect(await target.rows('SELECT * FROM a')).toEqual([['1', '1', 'w', '11']]);
    const { caughtUp, stop } = start('STOP', ['apply']);
    await caughtUp();
    await stop();
    expect(await contents(target)).toEqual(await contents(source));
  });
});

test('skipped, rows that the target cannot hold stop the stream (I4)', async () => {
  await startAndStop();
  await run('ALTER TABLE a ADD COLUMN one INT', "INSERT INTO a VALUES (1, 1, 'w', 11)");
  await expect(start('IGNORE').replication.done).rejects.toMatchObject({ message: expect.stringContaining("'one'") });
});

test('a skipped rename stops the stream: rows under the new name would be passed over (I4)', async () => {
  await startAndStop();
  await run('ALTER TABLE a RENAME TO renamed', "INSERT INTO renamed VALUES (1, 1, 'w')");
  await expect(start('IGNORE').replication.done).rejects.toMatchObject({ code: 'DDL_RENAME_SKIPPED' });
  await expect(start('STOP', ['skip']).replication.done).rejects.toMatchObject({ code: 'DDL_RENAME_SKIPPED' });
  // Done by hand on the other side, it may be skipped.
  await target.write('RENAME TABLE a TO renamed');
  const { caughtUp, stop } = start('STOP', ['skip']);
  await caughtUp();
  await stop();
  expect(await target.rows('SELECT * FROM renamed')).toEqual([['1', '1', 'w']]);
});

test('a table that comes with its rows stops the stream (I4)', async () => {
  await startAndStop();
  await run("INSERT INTO a VALUES (1, 1, 'w')", 'DROP TABLE b', 'CREATE TABLE b (PRIMARY KEY (id)) AS SELECT * FROM a');
  await expect(start('EXEC').replication.done).rejects.toMatchObject({ code: 'STREAM_SCHEMA_CHANGED' });
});

test.each([
  ['CREATE TABLE fresh (id INT PRIMARY KEY) ENGINE=MyISAM', 'INSERT INTO fresh VALUES (1)', 'fresh'],
  ['CREATE TABLE fresh (id INT PRIMARY KEY) ENGINE=MEMORY', 'INSERT INTO fresh VALUES (1)', 'fresh'],
  ['ALTER TABLE a ENGINE=MyISAM', "INSERT INTO a VALUES (2, 2, 'w')", 'a'],
])('a table without transactions stops the stream before its rows: %s', async (ddl, row, table) => {
  await startAndStop();
  await run("INSERT INTO a VALUES (1, 1, 'w')", ddl, row);
  const whole = { allTables: true };
  const code = 'DDL_ENGINE_NOT_TRANSACTIONAL';
  await expect(start('EXEC', [], whole).replication.done).rejects.toMatchObject({ code });
  await expect(start('STOP', ['skip'], whole).replication.done).rejects.toMatchObject({ code });
  // As on the destination before the statement; what it does not have was not applied.
  expect(await target.rows(`SELECT COUNT(*) FROM ${table}`)).toEqual([[table === 'a' ? '1' : '0']]);
  await target.write(`ALTER TABLE ${table} ENGINE=InnoDB`);
  const { caughtUp, stop } = start('EXEC', ['skip'], whole);
  await caughtUp();
  await stop();
  const all = `SELECT * FROM ${table} ORDER BY 1`;
  expect(await target.rows(all)).toEqual(await source.rows(all));
});

test.each([
  'RENAME TABLE a TO gone, other TO a',
  'DROP TABLE a, other',
  'ALTER TABLE p EXCHANGE PARTITION p0 WITH TABLE other',
])('what another table of the target has is neither taken for imported rows nor taken away: %s', async (ddl) => {
  const other = 'CREATE TABLE other (id INT PRIMARY KEY, v INT)';
  const partitioned = 'CREATE TABLE p (id INT PRIMARY KEY, v INT) PARTITION BY HASH (id) PARTITIONS 1';
  for (const connection of [source, target]) await connection.write(partitioned);
  await new ProgressRow(schema, 'forward').reset(target, (await executedPosition(source, 'mysql')).toString());
  await startAndStop();
  await run(other, 'INSERT INTO other VALUES (1, 1)', ddl);
  for (const statement of [other, 'INSERT INTO other VALUES (2, 2)']) await target.write(statement);
  const code = 'DDL_TABLE_FOREIGN';
  await expect(start('EXEC').replication.done).rejects.toMatchObject({ code, details: { tables: ['other'] } });
  await expect(start('EXEC_IGNORE').replication.done).rejects.toMatchObject({ code });
  expect(await target.rows('SELECT * FROM other')).toEqual([['2', '2']]);
});

describe('of a whole database', () => {
  const whole = { allTables: true };

  test('with EXEC, tables that are created are followed, whatever way they come to be', async () => {
    await startAndStop();
    await run(
      'CREATE TABLE fresh (id INT PRIMARY KEY, v INT)',
      'INSERT INTO fresh VALUES (1, 1)',
      'CREATE TABLE IF NOT EXISTS alike LIKE a',
      "INSERT INTO alike VALUES (2, 2, 'w')",
      'RENAME TABLE fresh TO other, alike TO fresh',
      "INSERT INTO fresh VALUES (3, 3, 'w')",
      'INSERT INTO other VALUES (4, 4)',
      'ALTER TABLE other ADD COLUMN w INT, RENAME TO another',
      'INSERT INTO another VALUES (5, 5, 5)',
      // As tools for schema changes do it.
      'CREATE TABLE _a_new LIKE a',
      'ALTER TABLE _a_new ADD COLUMN x INT',
      'INSERT INTO _a_new SELECT *, 1 FROM a',
      'RENAME TABLE a TO _a_old, _a_new TO a',
      "INSERT INTO a VALUES (6, 6, 'w', 6)",
      'DROP TABLE _a_old, b',
      'CREATE TABLE b (id INT PRIMARY KEY)',
      'INSERT INTO b VALUES (7)',
    );
    const { caughtUp, stop } = start('EXEC', [], whole);
    await caughtUp();
    await stop();
    expect(await contents(target)).toEqual(await contents(source));
    expect(names.toSorted()).toEqual(['a', 'another', 'b', 'c', 'fresh']);
  });

  test('a table that the target alone has is not taken for one that is created', async () => {
    await startAndStop();
    await target.write('CREATE TABLE theirs (id INT PRIMARY KEY)');
    await target.write('INSERT INTO theirs VALUES (2)');
    await run('CREATE TABLE IF NOT EXISTS theirs (id INT PRIMARY KEY)');
    const { replication, stop } = start('EXEC', [], whole);
    const end = replication.waitFor(await executedPosition(source, 'mysql'), AbortSignal.timeout(30_000));
    await expect(end).rejects.toMatchObject({ code: 'DDL_TABLE_FOREIGN' });
    await stop();
    expect(await target.rows('SELECT * FROM theirs')).toEqual([['2']]);
  });

  test('with STOP, a table that is created stops the stream at its place; applied or made by hand, it is followed', async () => {
    await startAndStop();
    await run('CREATE TABLE one (id INT PRIMARY KEY)', 'INSERT INTO one VALUES (1)');
    await run('CREATE TABLE two (id INT PRIMARY KEY)', 'INSERT INTO two VALUES (2)');
    await expect(start('STOP', [], whole).replication.done).rejects.toMatchObject({ code: 'DDL_STOPPED' });
    await expect(start('STOP', ['apply'], whole).replication.done).rejects.toMatchObject({ code: 'DDL_STOPPED' });
    await target.write('CREATE TABLE two (id INT PRIMARY KEY)');
    const { caughtUp, stop } = start('STOP', ['skip'], whole);
    await caughtUp();
    await stop();
    expect(await contents(target)).toEqual(await contents(source));
    expect(names.toSorted()).toEqual(['a', 'b', 'c', 'one', 'two']);
  });

  test('skipped, it is not followed, and nothing else is left out', async () => {
    await startAndStop();
    await run(
      'CREATE TABLE one (id INT PRIMARY KEY)',
      'INSERT INTO one VALUES (1)',
      "INSERT INTO a VALUES (1, 1, 'w')",
    );
    const { caughtUp, stop } = start('IGNORE', [], whole);
    await caughtUp();
    await stop();
    expect(names.toSorted()).toEqual(['a', 'b', 'c']);
    expect(await target.rows('SELECT * FROM a')).toEqual([['1', '1', 'w']]);
  });

  test('a table that comes with its rows is not applied without them (I4)', async () => {
    await startAndStop();
    await run("INSERT INTO a VALUES (1, 1, 'w')", 'CREATE TABLE one (PRIMARY KEY (id)) AS SELECT * FROM a');
    await run("INSERT INTO one VALUES (2, 2, 'w')");
    await expect(start('STOP', [], whole).replication.done).rejects.toMatchObject({ code: 'DDL_STOPPED' });
    for (const [policy, decisions] of [
      ['EXEC', []],
      ['STOP', ['apply']],
    ] as const)
      await expect(start(policy, [...decisions], whole).replication.done).rejects.toMatchObject({
        code: 'DDL_WITH_ROWS',
      });
    // Made by hand it lacks the rows of the statement.
    await target.write('CREATE TABLE one LIKE a');
    await expect(start('STOP', ['skip'], whole).replication.done).rejects.toMatchObject({ code: 'DDL_WITH_ROWS' });
    await target.write('DROP TABLE one');
    const { caughtUp, stop } = start('STOP', ['skip'], whole);
    await caughtUp();
    await stop();
    expect(names.toSorted()).toEqual(['a', 'b', 'c']);
  });

  test('nor is its query run on the target, where it finds other values', async () => {
    await startAndStop();
    await using session = await ServerConnection.open(definitionOf(pair.source));
    await session.write(`USE ${schema}`);
    await session.write("SET SESSION binlog_format = STATEMENT, transaction_isolation = 'REPEATABLE-READ'");
    await session.write('SET @id = 7');
    await session.write('CREATE TABLE one (PRIMARY KEY (id)) AS SELECT @id AS id');
    await expect(start('EXEC', [], whole).replication.done).rejects.toMatchObject({ code: 'DDL_WITH_ROWS' });
    const { caughtUp, stop } = start('STOP', ['skip'], whole);
    await caughtUp();
    await stop();
    expect(names.toSorted()).toEqual(['a', 'b', 'c']);
  });

  test('a column whose values only the source has is not made (I4)', async () => {
    await startAndStop();
    await run("INSERT INTO a VALUES (1, 1, 'w')", 'ALTER TABLE a ADD COLUMN c BIGINT DEFAULT (CONNECTION_ID())');
    await expect(start('EXEC').replication.done).rejects.toMatchObject({ code: 'DDL_VALUES_DIFFER' });
    const { caughtUp, stop } = start('STOP', ['apply']);
    await caughtUp();
    await stop();
    expect(await target.rows('SELECT c FROM a')).not.toEqual(await source.rows('SELECT c FROM a'));
  });

  test('a table without a key stops the stream', async () => {
    await startAndStop();
    await run('CREATE TABLE one (id INT)', 'INSERT INTO one VALUES (1)');
    await expect(start('EXEC', [], whole).replication.done).rejects.toMatchObject({
      code: 'STREAM_TABLE_WITHOUT_KEY',
    });
    expect(await target.rows('SELECT * FROM one')).toEqual([]);
  });
});

test('an imported table that loses its key stops the stream', async () => {
  await startAndStop();
  await run("INSERT INTO a VALUES (1, 1, 'w')", 'ALTER TABLE a DROP PRIMARY KEY', "INSERT INTO a VALUES (1, 1, 'w')");
  await expect(start('EXEC').replication.done).rejects.toMatchObject({ code: 'STREAM_TABLE_WITHOUT_KEY' });
});
