import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Flavor } from '../../core/gtid.ts';
import type { DdlDecision } from '../../engine/ddl/ddl-policy.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import { executedPosition } from '../../engine/server/position.ts';
import { createSidecar, ProgressRow } from '../../engine/sidecar.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { definitionOf, familyOf } from '../support/stream-fixture.ts';
import { applyDdl } from '../support/ddl-replication.ts';

/** One database on both sides, whose stream executes DDL. */
class Followed implements AsyncDisposable {
  readonly source: ServerConnection;
  readonly target: ServerConnection;
  readonly #name: string;
  readonly #flavor: Flavor;

  private constructor(source: ServerConnection, target: ServerConnection, name: string, flavor: Flavor) {
    this.source = source;
    this.target = target;
    this.#name = name;
    this.#flavor = flavor;
  }

  static async begin(
    servers: { source: RunningServer; target: RunningServer },
    name: string,
    tables: string[],
    defaults = { source: '', target: '' },
  ): Promise<Followed> {
    const source = await ServerConnection.open(definitionOf(servers.source));
    const target = await ServerConnection.open(definitionOf(servers.target));
    await createSidecar(target);
    for (const [connection, options] of [
      [source, defaults.source],
      [target, defaults.target],
    ] as const) {
      await connection.write(`CREATE DATABASE ${name} ${options}`);
      await connection.write(`USE ${name}`);
      for (const ddl of tables) await connection.write(ddl);
    }
    const flavor = familyOf(servers.source);
    await new ProgressRow(name, 'forward').reset(target, (await executedPosition(source, flavor)).toString());
    const followed = new Followed(source, target, name, flavor);
    await followed.caughtUp();
    return followed;
  }

  /** Begins where it was before, and is stopped when everything is applied. Rejects with what stops it. */
  async caughtUp(decisions: DdlDecision[] = []): Promise<void> {
    const { source, target } = this;
    await applyDdl({ source, target, database: this.#name, flavor: this.#flavor, allTables: true, decisions });
  }

  async run(...statements: string[]): Promise<void> {
    for (const statement of statements) await this.source.write(statement);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.source.close();
    await this.target.close();
  }
}

describe('from MariaDB, whose definitions are asked for anew behind DDL', () => {
  let pair: Awaited<ReturnType<typeof startServerPair>>;

  beforeAll(async () => {
    pair = await startServerPair('mariadb-11.8');
    // Its default: names and signs are not in the log.
    await using source = await ServerConnection.open(definitionOf(pair.source));
    await source.write('SET GLOBAL binlog_row_metadata = NO_LOG');
  });

  afterAll(async () => {
    await pair?.[Symbol.asyncDispose]();
  });

  test('columns of one type that change places later do not change their values before (I4)', async () => {
    await using followed = await Followed.begin(pair, 'places', ['CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)']);
    await followed.run(
      'ALTER TABLE t ADD COLUMN c INT',
      'INSERT INTO t (id, a, b) VALUES (1, 10, 20)',
      'ALTER TABLE t MODIFY a INT AFTER b',
    );
    await expect(followed.caughtUp()).rejects.toMatchObject({ code: 'STREAM_SCHEMA_CHANGED' });
    expect(await followed.target.rows('SELECT id, a, b FROM t')).toEqual([]);
  });

  test('one such statement is followed', async () => {
    await using followed = await Followed.begin(pair, 'place', [
      'CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, h INT INVISIBLE DEFAULT 5, g INT AS (a + 1), u INT)',
    ]);
    await followed.run('INSERT INTO t (id, a, b) VALUES (1, 10, 20)', 'ALTER TABLE t MODIFY a INT AFTER b');
    await followed.caughtUp();
    await followed.run('INSERT INTO t (id, a, b) VALUES (2, 11, 21)', 'ALTER TABLE t DROP COLUMN u');
    await followed.caughtUp();
    expect(await followed.target.rows('SELECT id, a, b, h, g FROM t ORDER BY id')).toEqual([
      ['1', '10', '20', '5', '11'],
      ['2', '11', '21', '5', '12'],
    ]);
  });
});

test('a conversion of which MariaDB and MySQL make different values stops behind the statement; others go on', async () => {
  await using pair = await startServerPair('mariadb-11.8');
  await using followed = await Followed.begin(pair, 'converted', [
    'CREATE TABLE t (id INT PRIMARY KEY, n INT, v VARCHAR(40), d TIME(3))',
    'CREATE TABLE none (id INT PRIMARY KEY, d TIME(3))',
  ]);
  const contents = (connection: ServerConnection) => connection.rows('SELECT * FROM t');
  await followed.run(
    "SET SESSION sql_mode = 'STRICT_TRANS_TABLES'",
    "INSERT INTO t VALUES (1, 5, '2024-01-02 03:04:05', '12:34:56.789')",
    'ALTER TABLE none MODIFY d INT',
    'ALTER TABLE t MODIFY n BIGINT, MODIFY v DATETIME',
  );
  await followed.caughtUp();
  await followed.run('ALTER TABLE t MODIFY v VARCHAR(60)');
  await followed.caughtUp();
  expect(await contents(followed.target)).toEqual(await contents(followed.source));
  for (const [settings, statement, column] of [
    [[], 'ALTER TABLE t CHANGE d s INT', 'd'],
    [["SET SESSION sql_mode = ''", "UPDATE t SET v = '1.5'"], 'ALTER TABLE t MODIFY v INT', 'v'],
  ] as const) {
    await followed.run(...settings, statement);
    const stopped = { code: 'DDL_CONVERTS_OTHERWISE', details: { table: 't', column } };
    await expect(followed.caughtUp()).rejects.toMatchObject(stopped);
    await expect(followed.caughtUp()).rejects.toMatchObject(stopped);
    expect(await contents(followed.target)).not.toEqual(await contents(followed.source));
    await followed.caughtUp(['skip']);
    await followed.run('UPDATE t SET s = 1, v = 1, n = n + 1');
    await followed.caughtUp();
    expect(await contents(followed.target)).toEqual(await contents(followed.source));
  }
  // Under another name at once, or by the time that the stream comes to it.
  await followed.run('CREATE TABLE m (id INT PRIMARY KEY, f DOUBLE)', 'INSERT INTO m VALUES (1, 2.5)');
  await followed.caughtUp();
  for (const statements of [
    ['ALTER TABLE m MODIFY f INT, RENAME TO moved'],
    ['ALTER TABLE m MODIFY f INT', 'RENAME TABLE m TO moved'],
  ]) {
    await followed.run(...statements);
    const stopped = { code: 'DDL_CONVERTS_OTHERWISE', details: { column: 'f' } };
    await expect(followed.caughtUp()).rejects.toMatchObject(stopped);
    await followed.caughtUp(['skip']);
    for (const statement of ['RENAME TABLE moved TO m', 'ALTER TABLE m MODIFY f DOUBLE']) {
      await followed.run(statement);
      await followed.caughtUp();
    }
  }
});

test('a table that takes the place of another one by RENAME converts nothing (soak seed 1869920380)', async () => {
  await using pair = await startServerPair('mariadb-11.8');
  await using followed = await Followed.begin(pair, 'swapped', [
    'CREATE TABLE a (id INT PRIMARY KEY, v DOUBLE)',
    'CREATE TABLE b (id INT PRIMARY KEY, v INT)',
  ]);
  await followed.run('INSERT INTO a VALUES (1, 1.5)', 'INSERT INTO b VALUES (2, 3)');
  await followed.caughtUp();
  await followed.run('RENAME TABLE a TO c, b TO a, c TO b', 'INSERT INTO b VALUES (3, 2.5)');
  await followed.caughtUp();
  for (const table of ['a', 'b']) {
    const all = `SELECT * FROM ${table} ORDER BY id`;
    expect(await followed.target.rows(all)).toEqual(await followed.source.rows(all));
  }
});

describe('rows that DDL numbers', () => {
  const UUIDS = [
    '7c9e6679-7425-40de-944b-e07fc1f90ae7',
    '6ba7b811-9dad-11d1-80b4-f0c04fd430c8',
    '00000000-0000-1000-8000-000000000002',
  ];

  test('from MariaDB in an order that MySQL may not have: not without a word; where the order is one, the numbers are', async () => {
    await using pair = await startServerPair('mariadb-11.8');
    await using followed = await Followed.begin(pair, 'numbered', [
      'CREATE TABLE plain (id INT, e ENUM("b", "a"), PRIMARY KEY (e, id))',
      'CREATE TABLE wider (k VARCHAR(9), id INT AUTO_INCREMENT, PRIMARY KEY (k, id), KEY (id))',
    ]);
    // One after the other: see checkPlaces.
    for (const statement of [
      'CREATE TABLE t (id UUID PRIMARY KEY)',
      'ALTER TABLE t ADD COLUMN early INT NOT NULL AUTO_INCREMENT UNIQUE, AUTO_INCREMENT = 5',
      'ALTER TABLE t DROP COLUMN early',
      `INSERT INTO t VALUES ${UUIDS.map((id) => `(_latin1'${id}')`).join(', ')}`,
      'ALTER TABLE t AUTO_INCREMENT = 7',
      "INSERT INTO plain VALUES (3, 'a'), (1, 'b'), (2, 'a')",
      'ALTER TABLE plain ADD COLUMN n SERIAL',
      "INSERT INTO wider (k) VALUES ('z'), ('B'), ('a')",
      'ALTER TABLE wider MODIFY id BIGINT NOT NULL AUTO_INCREMENT',
    ]) {
      await followed.run(statement);
      await followed.caughtUp();
    }
    for (const table of ['plain', 'wider']) {
      const all = `SELECT * FROM ${table} ORDER BY id`;
      expect(await followed.target.rows(all)).toEqual(await followed.source.rows(all));
    }
    await followed.run('ALTER TABLE t ADD COLUMN n INT NOT NULL AUTO_INCREMENT UNIQUE');
    await expect(followed.caughtUp()).rejects.toMatchObject({ code: 'DDL_NUMBERS_ROWS', details: { table: 't' } });
    // They would have been other numbers.
    await followed.target.write('ALTER TABLE t ADD COLUMN n INT NOT NULL AUTO_INCREMENT UNIQUE');
    const numbers = 'SELECT LOWER(id), n FROM t ORDER BY n';
    expect(await followed.target.rows(numbers)).not.toEqual(await followed.source.rows(numbers));
  });

  test('of tables without a primary key: where there is one order alone', async () => {
    await using pair = await startServerPair();
    await using followed = await Followed.begin(pair, 'unnumbered', [
      'CREATE TABLE one (a INT NOT NULL UNIQUE)',
      'CREATE TABLE two (a INT NOT NULL UNIQUE, b INT NOT NULL UNIQUE)',
    ]);
    await followed.run('INSERT INTO one VALUES (5)', 'ALTER TABLE one ADD COLUMN n SERIAL');
    await followed.caughtUp();
    expect(await followed.target.rows('SELECT * FROM one')).toEqual([['5', '1']]);
    await followed.run('INSERT INTO two VALUES (1, 2), (2, 1)', 'ALTER TABLE two ADD COLUMN n SERIAL');
    await expect(followed.caughtUp()).rejects.toMatchObject({ code: 'DDL_NUMBERS_ROWS', details: { table: 'two' } });
  });
});

test('a table that DDL partitions by padded text stops the stream before its rows', async () => {
  await using pair = await startServerPair();
  await using followed = await Followed.begin(pair, 'padded', [
    'CREATE TABLE t (k VARCHAR(9) COLLATE utf8mb4_unicode_ci PRIMARY KEY)',
    'CREATE TABLE was (k VARCHAR(9) COLLATE utf8mb4_unicode_ci PRIMARY KEY) PARTITION BY KEY () PARTITIONS 3',
  ]);
  // It was accepted.
  await followed.run('ALTER TABLE was ADD COLUMN v INT', 'ALTER TABLE t ADD COLUMN v INT');
  await followed.caughtUp();
  await followed.run('ALTER TABLE t PARTITION BY KEY () PARTITIONS 3', "INSERT INTO t VALUES ('a', 1)");
  const stopped = { code: 'DDL_PARTITIONED_BY_PADDED_TEXT', details: { table: 't' } };
  await expect(followed.caughtUp()).rejects.toMatchObject(stopped);
  await expect(followed.caughtUp()).rejects.toMatchObject(stopped);
  expect(await followed.target.rows('SELECT * FROM t')).toEqual([]);
  await followed.target.write('ALTER TABLE t REMOVE PARTITIONING');
  await followed.caughtUp(['skip']);
  expect(await followed.target.rows('SELECT * FROM t')).toEqual([['a', '1']]);
});

describe('a table that is created by the defaults of its database', () => {
  let pair: Awaited<ReturnType<typeof startServerPair>>;

  beforeAll(async () => {
    pair = await startServerPair();
  });

  afterAll(async () => {
    await pair?.[Symbol.asyncDispose]();
  });

  test('stops the stream, too, where the source has the table under another name by then: its rows tell', async () => {
    await using followed = await Followed.begin(pair, 'renamed', ['CREATE TABLE t (id INT PRIMARY KEY)'], {
      source: 'CHARACTER SET latin1',
      target: 'CHARACTER SET utf8mb4',
    });
    await followed.run(
      'CREATE TABLE new (id INT PRIMARY KEY, b VARBINARY(9), s VARCHAR(10) CHARACTER SET utf8mb4, e ENUM("a"), v TEXT)',
      "INSERT INTO new VALUES (1, 0xC3A9, '\u00c3\u00a9', 'a', '\u00c3\u00a9')",
      'RENAME TABLE t TO old, new TO t',
    );
    const stopped = {
      code: 'STREAM_SCHEMA_CHANGED',
      message: expect.stringContaining('column v (text) has the charset latin1 in the binary log'),
    };
    await expect(followed.caughtUp()).rejects.toMatchObject(stopped);
    expect(await followed.target.rows('SELECT * FROM new')).toEqual([]);
    await followed.target.write('ALTER TABLE new MODIFY v TEXT CHARACTER SET latin1');
  });

  test('stops the stream where the target has other ones; made alike, it goes on', async () => {
    await using followed = await Followed.begin(pair, 'defaults', ['CREATE TABLE other (id INT PRIMARY KEY)'], {
      source: 'CHARACTER SET utf8mb4',
      target: 'CHARACTER SET latin1',
    });
    await followed.run(
      'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10))',
      "INSERT INTO t VALUES (1, _utf8mb4'\u00c3\u00a9')",
    );
    await expect(followed.caughtUp()).rejects.toMatchObject({ code: 'DDL_CHARSET_DIFFERS' });
    expect(await followed.target.rows('SELECT HEX(v) FROM t')).toEqual([]);
    await followed.target.write('ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4');
    await followed.caughtUp();
    expect(await followed.target.rows('SELECT HEX(v) FROM t')).toEqual([['C3A9']]);
  });
});
