import type mysql from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { assert } from '../../core/errors.ts';
import type { Side } from '../../core/phase.ts';
import type { ImportView } from '../../engine/api.ts';
import type { Flavor } from '../../servers/flavor.ts';
import { compareDatabases } from '../property/compare-databases.ts';
import { DATABASE, SoakStage } from '../property/soak-stage.ts';
import { connect, rows } from '../support/query.ts';

/** What administrators change on either server while an import goes on: it waits, or stops and says why; then it goes on. */
describe.each(['mysql-9.7', 'mariadb-11.8'] as const satisfies Flavor[])('from %s', (flavor) => {
  let stage: SoakStage;
  let connections: Record<Side, mysql.Connection>;
  let number = 0;
  let id: string;

  beforeAll(async () => {
    stage = await SoakStage.start(flavor);
    connections = { source: await connect(stage.servers.source), target: await connect(stage.servers.target) };
  });
  afterAll(async () => {
    for (const connection of Object.values(connections ?? {})) await connection.end();
    await stage?.[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await stage.clear();
    number += 1;
    id = `settings-${number}`;
    await onSource(
      `USE ${DATABASE}`,
      'CREATE TABLE p (id INT PRIMARY KEY, b LONGBLOB)',
      "INSERT INTO p VALUES (1, 'a')",
    );
  });

  async function on(side: Side, ...statements: string[]): Promise<void> {
    for (const statement of statements) await connections[side].query(statement);
  }
  const onSource = async (...statements: string[]) => on('source', ...statements);
  const onTarget = async (...statements: string[]) => on('target', ...statements);

  async function begin(): Promise<void> {
    await stage.switchyard.client.createImport({
      id,
      database: DATABASE,
      source: stage.definition('source'),
      target: stage.definition('target'),
      options: { ddl: 'EXEC', skipValidationErrors: true },
    });
  }

  async function until(condition: (view: ImportView) => boolean): Promise<ImportView> {
    let held: ImportView | undefined;
    const look = async () => {
      const view = await stage.switchyard.client.getImport(id);
      if (condition(view)) held = view;
      return held;
    };
    await expect.poll(look, { timeout: 60_000 }).toBeDefined();
    assert(held !== undefined, 'it was looked at until it held');
    return held;
  }
  const stopped = async () => (await until(({ phase }) => phase === 'error')).error?.code;
  const running = async () => until(({ phase }) => phase === 'running');

  /** A last change has arrived, and both sides are equal; for the next test the import is gone. */
  async function endsEqual(): Promise<void> {
    await onSource("INSERT INTO p VALUES (1000, 'last')");
    const arrived = async () => {
      const [row] = await rows(connections.target, `SELECT 'it is there' AS what FROM ${DATABASE}.p WHERE id = 1000`);
      const { error } = await stage.switchyard.client.getImport(id);
      return row?.['what'] ?? error;
    };
    await expect.poll(arrived, { timeout: 30_000 }).toBe('it is there');
    expect(await compareDatabases(stage.servers.source, stage.servers.target, DATABASE)).toEqual([]);
    await stage.switchyard.client.cancelImport(id);
  }

  async function endSessions(side: Side): Promise<void> {
    for (const { Id, User } of await rows(connections[side], 'SHOW PROCESSLIST'))
      if (User === 'switchyard') await connections[side].query(`KILL ${String(Id)}`).catch(() => {});
  }

  test('a target that becomes super_read_only is waited for', async () => {
    await begin();
    await running();
    await onTarget('SET GLOBAL super_read_only = ON');
    await onSource("INSERT INTO p VALUES (2, 'b')");
    await until(({ streams }) => streams[0]?.state === 'catching_up');
    await onTarget('SET GLOBAL super_read_only = OFF', 'SET GLOBAL read_only = OFF');
    await endsEqual();
  });

  test.each(['source', 'target'] as const)(
    'another password on the %s stops it until it has the former one',
    async (side) => {
      await begin();
      await running();
      await on(side, "ALTER USER switchyard@'%' IDENTIFIED BY 'rotated-1'");
      await onSource("INSERT INTO p VALUES (2, 'b')");
      await endSessions(side);
      expect(await stopped()).toBe('LOGIN_REFUSED');
      await on(side, "ALTER USER switchyard@'%' IDENTIFIED BY 'engine-secret-1'");
      await stage.switchyard.client.resume(id);
      await endsEqual();
    },
  );

  test('rows larger than max_allowed_packet of the target stop it', async () => {
    await onTarget('SET GLOBAL max_allowed_packet = 1048576');
    await begin();
    await running();
    await onSource("INSERT INTO p VALUES (2, REPEAT(X'27ff', 1000000))");
    expect(await stopped()).toBe('STATEMENT_TOO_LARGE');
    await onTarget('SET GLOBAL max_allowed_packet = 1073741824');
    await stage.switchyard.client.resume(id);
    await endsEqual();
  });

  test('definitions that only innodb_strict_mode=OFF takes stop it, in the copy and in the stream', async () => {
    const wide = (name: string) =>
      `CREATE TABLE ${name} (id INT PRIMARY KEY, ${Array.from({ length: 60 }, (_, i) => `c${i} VARCHAR(200) CHARACTER SET latin1`).join(', ')}) ROW_FORMAT=COMPACT`;
    await onSource('SET SESSION innodb_strict_mode = OFF', wide('a'), "INSERT INTO a (id, c1) VALUES (1, 'x')");
    await begin();
    expect(await stopped()).toBe('DDL_UNSUPPORTED');
    await onTarget('SET GLOBAL innodb_strict_mode = OFF');
    await stage.switchyard.client.resume(id);
    await running();
    await onTarget('SET GLOBAL innodb_strict_mode = ON');
    await onSource(wide('b'), "INSERT INTO b (id, c1) VALUES (1, 'x')");
    expect(await stopped()).toBe('DDL_FAILED');
    await onTarget('SET GLOBAL innodb_strict_mode = OFF');
    await stage.switchyard.client.resume(id, 'apply');
    await endsEqual();
    await onTarget('SET GLOBAL innodb_strict_mode = ON');
  });

  test('sql_require_primary_key, another sql_mode and orphans are no matter', async () => {
    await onTarget(
      'SET GLOBAL sql_require_primary_key = ON',
      "SET GLOBAL sql_mode = 'ANSI,STRICT_ALL_TABLES,NO_ZERO_DATE,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH'",
    );
    await onSource(
      "SET SESSION sql_mode = '', foreign_key_checks = 0",
      "CREATE TABLE u (a INT NOT NULL UNIQUE, d DATETIME NOT NULL DEFAULT '0000-00-00 00:00:00', c CHAR(9), s VARCHAR(5))",
      "INSERT INTO u (a, c, s) VALUES (1, 'x', 'a\\\\b'), (2, 'y\\'', 'too long')",
      'CREATE TABLE child (id INT PRIMARY KEY, p INT, CONSTRAINT fk FOREIGN KEY (p) REFERENCES p (id))',
      'INSERT INTO child VALUES (1, 77)',
    );
    await begin();
    await running();
    await onSource(
      "INSERT INTO u (a, c, s) VALUES (3, 'z', 'a\\\\b')",
      "ALTER TABLE u ADD COLUMN z DATE NOT NULL DEFAULT '0000-00-00'",
      'CREATE TABLE v (a INT NOT NULL UNIQUE)',
      'INSERT INTO v VALUES (1)',
      'UPDATE child SET id = 5',
      'INSERT INTO child VALUES (6, 78)',
      'SET SESSION sql_mode = DEFAULT, foreign_key_checks = 1',
    );
    await endsEqual();
    await onTarget('SET GLOBAL sql_require_primary_key = OFF', 'SET GLOBAL sql_mode = DEFAULT');
  });
});
