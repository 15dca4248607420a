import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Flavor } from '../../core/gtid.ts';
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
  async caughtUp(): Promise<void> {
    const { source, target } = this;
    await applyDdl({ source, target, database: this.#name, flavor: this.#flavor, allTables: true });
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

describe('a table that is created by the defaults of its database', () => {
  let pair: Awaited<ReturnType<typeof startServerPair>>;

  beforeAll(async () => {
    pair = await startServerPair();
  });

  afterAll(async () => {
    await pair?.[Symbol.asyncDispose]();
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
