import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serverBinary } from '../../servers/installation.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { client, createAppSchema, direct, errorOf, executeRows, rowsOf } from '../support/proxy-clients.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';

let servers: Awaited<ReturnType<typeof startServerPair>>;
let source: RunningServer;
let target: RunningServer;
let proxy: ProxyHarness;

beforeAll(async () => {
  servers = await startServerPair('mariadb-11.8', 'mysql-9.7');
  ({ source, target } = servers);
  for (const server of [source, target]) {
    await createAppSchema(server);
    await using root = await direct(server);
    await root.query('INSERT INTO app.whoami VALUES (?)', [server.flavor]);
  }
  proxy = await ProxyHarness.start({ source, target });
});

afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await servers?.[Symbol.asyncDispose]();
});

describe('from MariaDB to MySQL and back', () => {
  test('login, results, errors on MariaDB', async () => {
    await using through = await client(proxy.port, { multipleStatements: true });
    await using directly = await client(source.port);
    const sql = `SELECT 1 AS a, NULL AS b, 'ä€😀' AS c, 1.50 AS d, X'00ff' AS f, name FROM whoami`;
    expect(await rowsOf(through, sql)).toEqual(await rowsOf(directly, sql));
    expect(await executeRows(through, 'SELECT ? AS a', ['x'])).toEqual([{ a: 'x' }]);
    expect(await rowsOf(through, 'SELECT 1 AS a; SELECT 2 AS b')).toEqual([[{ a: 1 }], [{ b: 2 }]]);
    expect(await errorOf(through.query('SELEC'))).toMatchObject({ errno: 1064 });
    expect(await errorOf(client(proxy.port, { password: 'wrong' }))).toMatchObject({ errno: 1045 });
  });

  test('a session with its state goes to MySQL and back', async () => {
    await using connection = await client(proxy.port);
    await connection.query(
      `SET @text = 'grüße', @n = 5, SESSION sql_mode = 'ANSI_QUOTES', time_zone = '+01:00', wait_timeout = 500`,
    );
    await connection.query('USE other');
    const statement = await connection.prepare('SELECT ? AS a, @n AS n');
    const sql =
      'SELECT @text AS text, @n AS n, @@sql_mode AS mode, @@time_zone AS zone, @@wait_timeout AS wait, DATABASE() AS db';
    const before = await rowsOf(connection, sql);
    expect((await statement.execute([1]))[0]).toEqual([{ a: 1, n: 5 }]);
    await proxy.switchTo('target');
    expect(await rowsOf(connection, 'SELECT name FROM app.whoami')).toEqual([{ name: 'mysql-9.7' }]);
    expect(await rowsOf(connection, sql)).toEqual(before);
    expect((await statement.execute([2]))[0]).toEqual([{ a: 2, n: 5 }]);
    await proxy.switchTo('source', { prepare: false });
    expect(await rowsOf(connection, 'SELECT name FROM app.whoami')).toEqual([{ name: 'mariadb-11.8' }]);
    expect(await rowsOf(connection, sql)).toEqual(before);
    expect((await statement.execute([3]))[0]).toEqual([{ a: 3, n: 5 }]);
  });

  test('the mariadb client', async () => {
    const mariadb = await serverBinary('mariadb', 'mariadb-11.8');
    const login = [
      '--no-defaults',
      '--protocol=tcp',
      '-h127.0.0.1',
      `-P${proxy.port}`,
      '-uapp',
      '-papp-password',
      'app',
      '-N',
      '-e',
      'SELECT 40 + 2',
    ];
    const { stdout } = await promisify(execFile)(mariadb, [
      '--no-defaults',
      '--disable-ssl-verify-server-cert',
      ...login.slice(1),
    ]);
    expect(stdout).toBe('42\n');
  });

  test('a command that MySQL does not know any more: the session is told, not run with another state (I5)', async () => {
    await using connection = await client(proxy.port);
    await connection.query(`SET SESSION join_cache_level = 3`);
    const report = await proxy.prepare('primary', 'target');
    expect(report.failures).toMatchObject([{ reason: expect.stringContaining('join_cache_level') }]);
    const { promise, resolve } = Promise.withResolvers<Error>();
    connection.on('error', resolve);
    await proxy.switchTo('target', { prepare: false });
    expect((await promise).message).toMatch(/could not carry this session over|closed/);
    await proxy.switchTo('source', { prepare: false });
  });
});
