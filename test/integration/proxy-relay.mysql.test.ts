import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createReadStream } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { serverBinary } from '../../servers/installation.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { client, createAppSchema, direct, errorOf, executeRows, rowsOf } from '../support/proxy-clients.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';

const run = promisify(execFile);

let server: RunningServer;
let proxy: ProxyHarness;

beforeAll(async () => {
  server = await startServer({ flavor: 'mysql-9.7', options: ['--local-infile=ON', '--max-allowed-packet=67108864'] });
  await createAppSchema(server);
  proxy = await ProxyHarness.start({ source: server, target: server });
});

afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

describe('login', () => {
  test('with the right password, in plain with the RSA key and under TLS', async () => {
    await using plain = await client(proxy.port);
    expect(await rowsOf(plain, 'SELECT CURRENT_USER() AS user, DATABASE() AS db')).toEqual([
      { user: 'app@%', db: 'app' },
    ]);
    await using secure = await client(proxy.port, { ssl: { rejectUnauthorized: false } });
    expect(await rowsOf(secure, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test('again after the password is known, right and wrong', async () => {
    await using first = await client(proxy.port);
    await using second = await client(proxy.port);
    expect(await rowsOf(second, 'SELECT 2 AS two')).toEqual([{ two: 2 }]);
    expect(await errorOf(client(proxy.port, { password: 'wrong' }))).toMatchObject({ errno: 1045, sqlState: '28000' });
    void first;
  });

  test('the refusals are those of the server', async () => {
    expect(await errorOf(client(proxy.port, { user: 'nobody' }))).toMatchObject({ errno: 1045 });
    expect(await errorOf(client(proxy.port, { database: 'nothing' }))).toMatchObject({ errno: 1044 });
    expect(await errorOf(client(proxy.port, { password: '' }))).toMatchObject({ errno: 1045 });
  });

  test('a user without a password', async () => {
    await using root = await direct(server);
    await root.query(`CREATE USER open@'%' IDENTIFIED BY ''`);
    await using open = await client(proxy.port, { user: 'open', password: '', database: '' });
    expect(await rowsOf(open, 'SELECT CURRENT_USER() AS user')).toEqual([{ user: 'open@%' }]);
  });

  test('the greeting shows the version of the server', async () => {
    await using root = await direct(server);
    const [row] = await rowsOf(root, 'SELECT VERSION() AS version');
    const socket = connectTcp({ host: '127.0.0.1', port: proxy.port });
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    socket.once('data', resolve);
    expect((await promise).toString('latin1')).toContain(row?.['version']);
    socket.destroy();
  });

  test('the mysql client, with its defaults and without TLS', async () => {
    const mysqlClient = await serverBinary('mysql');
    const login = [
      '--no-defaults',
      '--protocol=tcp',
      '-h127.0.0.1',
      `-P${proxy.port}`,
      '-uapp',
      '-papp-password',
      'app',
      '-N',
    ];
    const { stdout } = await run(mysqlClient, [...login, '-e', 'SELECT 40 + 2; SELECT DATABASE()']);
    expect(stdout).toBe('42\napp\n');
    const plain = await run(mysqlClient, [
      ...login,
      '--ssl-mode=DISABLED',
      '--get-server-public-key',
      '-e',
      'SELECT 1',
    ]);
    expect(plain.stdout).toBe('1\n');
    await expect(run(mysqlClient, [...login.slice(0, 5), '-pwrong', '-e', 'SELECT 1'])).rejects.toThrow(/1045/);
  });

  test('mysqldump through the proxy equals the direct one', async () => {
    const dump = await serverBinary('mysqldump');
    const common = [
      '--no-defaults',
      '--protocol=tcp',
      '-h127.0.0.1',
      '-uapp',
      '-papp-password',
      '--skip-dump-date',
      '--no-tablespaces',
      '--set-gtid-purged=OFF',
    ];
    const through = await run(dump, [...common, `-P${proxy.port}`, 'app']);
    const directly = await run(dump, [...common, `-P${server.port}`, 'app']);
    expect(through.stdout).toBe(directly.stdout);
  });

  test('a suffix on the database chooses the role', async () => {
    await using replica = await client(proxy.port, { database: 'app@replica' });
    expect(await rowsOf(replica, 'SELECT DATABASE() AS db')).toEqual([{ db: 'app' }]);
    const mine = (await proxy.sessions()).filter(({ role }) => role === 'replica');
    expect(mine).toHaveLength(1);
    await using primary = await client(proxy.replicaPort, { database: 'app@primary' });
    void primary;
    expect((await proxy.sessions()).some(({ role, database }) => role === 'primary' && database === 'app')).toBe(true);
  });

  test('COM_CHANGE_USER is a new session with the new login', async () => {
    await using root = await direct(server);
    await root.query(`CREATE USER second@'%' IDENTIFIED BY 'second-password'`);
    await root.query(`GRANT SELECT ON app.* TO second@'%'`);
    await using connection = await client(proxy.port);
    await connection.query('SET @x = 1');
    await connection.changeUser({ user: 'second', password: 'second-password' });
    expect(await rowsOf(connection, 'SELECT CURRENT_USER() AS user, @x AS x')).toEqual([{ user: 'second@%', x: null }]);
    expect(await errorOf(connection.changeUser({ user: 'second', password: 'wrong' }))).toMatchObject({ errno: 1045 });
  });

  test('without an import the client reads why', async () => {
    await using empty = await ProxyHarness.start({ source: server, target: server, hasRoute: false });
    const error = await errorOf(client(empty.port));
    expect(error).toMatchObject({ errno: 1105, sqlState: '08004' });
    expect(error.message).toContain('no import has been created');
  });

  test('a user whose password expired can change it', async () => {
    await using root = await direct(server);
    await root.query(`CREATE USER expired@'%' IDENTIFIED BY 'old' PASSWORD EXPIRE`);
    const mysqlClient = await serverBinary('mysql');
    const login = ['--no-defaults', '--protocol=tcp', '-h127.0.0.1', `-P${proxy.port}`, '-uexpired', '-pold'];
    await run(mysqlClient, [...login, '--connect-expired-password', '-e', `ALTER USER USER() IDENTIFIED BY 'new'`]);
    await using changed = await client(proxy.port, { user: 'expired', password: 'new', database: '' });
    expect(await rowsOf(changed, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test('TLS can be required of clients', async () => {
    await using strict = await ProxyHarness.start({
      source: server,
      target: server,
      proxy: { tls: { required: true } },
    });
    expect(await errorOf(client(strict.port))).toMatchObject({ errno: 3159 });
    await using secure = await client(strict.port, { ssl: { rejectUnauthorized: false } });
    expect(await rowsOf(secure, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test('more connections than allowed', async () => {
    await using small = await ProxyHarness.start({ source: server, target: server, proxy: { maxConnections: 1 } });
    await using first = await client(small.port);
    void first;
    expect(await errorOf(client(small.port))).toMatchObject({ errno: 1040 });
  });

  test('a client that never answers the greeting is cut off', async () => {
    await using strict = await ProxyHarness.start({
      source: server,
      target: server,
      proxy: { handshakeTimeoutMs: 100 },
    });
    const socket = connectTcp({ host: '127.0.0.1', port: strict.port });
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.on('data', () => {});
    socket.on('close', () => resolve());
    await promise;
  });
});

describe('commands', () => {
  test('text and binary results equal those of a direct connection', async () => {
    await using through = await client(proxy.port);
    await using directly = await client(server.port);
    const sql = `SELECT 1 AS a, NULL AS b, 'ä€😀' AS c, 1.50 AS d, 1e100 AS e, X'00ff' AS f, NOW() > '2000-01-01' AS g, DATE '2020-02-03' AS h`;
    expect(await rowsOf(through, sql)).toEqual(await rowsOf(directly, sql));
    expect(await executeRows(through, sql, [])).toEqual(await executeRows(directly, sql, []));
    expect(await executeRows(through, 'SELECT ? AS a, ? AS b, ? AS c', [1, 'x', null])).toEqual([
      { a: 1, b: 'x', c: null },
    ]);
  });

  test('several statements, several results, and an error among them', async () => {
    await using connection = await client(proxy.port, { multipleStatements: true });
    const [results] = await connection.query('SELECT 1 AS a; DO 1; SELECT 2 AS b, 3 AS c');
    expect(results).toMatchObject([[{ a: 1 }], {}, [{ b: 2, c: 3 }]]);
    expect(await errorOf(connection.query('SELECT 1; SELECT nothing; SELECT 2'))).toMatchObject({ errno: 1054 });
    expect(await rowsOf(connection, 'SELECT 4 AS d')).toEqual([{ d: 4 }]);
  });

  test('errors and warnings', async () => {
    await using connection = await client(proxy.port);
    expect(await errorOf(connection.query('SELEC 1'))).toMatchObject({ errno: 1064, sqlState: '42000' });
    expect(await errorOf(connection.execute('SELECT * FROM missing'))).toMatchObject({ errno: 1146 });
    await connection.query(`SELECT CAST('x' AS SIGNED)`);
    expect(await rowsOf(connection, 'SHOW WARNINGS')).toHaveLength(1);
  });

  test('a command and a row of more than 16 MiB, text and binary', async () => {
    await using connection = await client(proxy.port);
    const bytes = Buffer.alloc(17 * 1024 * 1024, 'large');
    await connection.query('INSERT INTO t (id, b) VALUES (1000, ?)', [bytes]);
    const [text] = await rowsOf(connection, 'SELECT b FROM t WHERE id = 1000');
    expect(bytes.equals(text?.['b'])).toBe(true);
    await connection.execute('INSERT INTO t (id, b) VALUES (1001, ?)', [bytes]);
    const [binary] = await executeRows(connection, 'SELECT b FROM t WHERE id = ?', [1001]);
    expect(bytes.equals(binary?.['b'])).toBe(true);
    await connection.query('DELETE FROM t WHERE id >= 1000');
  });

  test('a command of exactly 16 MiB - 1, which ends with an empty packet', async () => {
    await using connection = await client(proxy.port);
    const overhead = `SELECT LENGTH('') AS n`.length + 1;
    const [row] = await rowsOf(connection, `SELECT LENGTH('${'x'.repeat(0xff_ffff - overhead)}') AS n`);
    expect(row).toEqual({ n: 0xff_ffff - overhead });
    expect(await rowsOf(connection, 'SELECT 5 AS five')).toEqual([{ five: 5 }]);
  });

  test('a large result to a client that reads slowly', async () => {
    await using connection = await client(proxy.port);
    const [rows] = await connection.query(
      `WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 1000) SELECT a.n, REPEAT('x', 200) FROM r a, r b LIMIT 300000`,
    );
    expect(rows).toHaveLength(300_000);
  });

  test('LOAD DATA LOCAL, also of an empty file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'switchyard-infile-'));
    const file = join(folder, 'rows.csv');
    await writeFile(file, Array.from({ length: 20_000 }, (_, index) => `${index}\t${'v'.repeat(50)}`).join('\n'));
    await using connection = await client(proxy.port);
    await connection.query('DELETE FROM t');
    await connection.query({
      sql: `LOAD DATA LOCAL INFILE 'x' INTO TABLE t (n, s)`,
      infileStreamFactory: () => createReadStream(file),
    });
    expect(await rowsOf(connection, 'SELECT COUNT(*) AS count FROM t')).toEqual([{ count: 20_000 }]);
    await writeFile(file, '');
    await connection.query({
      sql: `LOAD DATA LOCAL INFILE 'x' INTO TABLE t (n, s)`,
      infileStreamFactory: () => createReadStream(file),
    });
    expect(await rowsOf(connection, 'SELECT COUNT(*) AS count FROM t')).toEqual([{ count: 20_000 }]);
    await connection.query('DELETE FROM t');
    await rm(folder, { recursive: true });
  });

  test('transactions', async () => {
    await using connection = await client(proxy.port);
    await connection.beginTransaction();
    await connection.query('INSERT INTO t (n) VALUES (1)');
    const open = async () => (await proxy.sessions()).find(({ inTransaction }) => inTransaction);
    await vi.waitFor(async () => expect((await open())?.transactionAgeMs).toBeGreaterThan(50));
    // The answers within it do not make it younger.
    await connection.query('SELECT 1');
    expect((await open())?.transactionAgeMs).toBeGreaterThan(50);
    await connection.rollback();
    expect(await open()).toBeUndefined();
    expect((await proxy.sessions()).map(({ transactionAgeMs }) => transactionAgeMs)).not.toContainEqual(
      expect.any(Number),
    );
    expect(await rowsOf(connection, 'SELECT COUNT(*) AS count FROM t')).toEqual([{ count: 0 }]);
  });

  test('prepared statements of two ids, closed and used again', async () => {
    await using connection = await client(proxy.port);
    const first = await connection.prepare('SELECT ? + 1 AS n');
    const second = await connection.prepare('SELECT ? * 2 AS n');
    expect((await second.execute([4]))[0]).toEqual([{ n: 8 }]);
    await first.close();
    expect((await second.execute([5]))[0]).toEqual([{ n: 10 }]);
    const third = await connection.prepare('SELECT ? AS n');
    expect((await third.execute([6]))[0]).toEqual([{ n: 6 }]);
  });

  test('ping, reset, statistics, procedures with several results', async () => {
    await using connection = await client(proxy.port);
    await connection.ping();
    await connection.query('CREATE PROCEDURE two_results() BEGIN SELECT 1 AS a; SELECT 2 AS b; END');
    const [results] = await connection.query('CALL two_results()');
    expect(results).toMatchObject([[{ a: 1 }], [{ b: 2 }], {}]);
    const [binary] = await connection.execute('CALL two_results()');
    expect(binary).toMatchObject([[{ a: 1 }], [{ b: 2 }], {}]);
    await connection.query('SET @x = 1');
    await connection.reset();
    expect(await rowsOf(connection, 'SELECT @x AS x')).toEqual([{ x: null }]);
  });

  test('KILL of the id that the greeting told', async () => {
    await using victim = await client(proxy.port);
    await using killer = await client(proxy.port);
    const sleeping = errorOf(victim.query('SELECT SLEEP(60)'));
    const [own] = await rowsOf(killer, `SELECT COUNT(*) AS count FROM information_schema.processlist`);
    expect(own?.['count']).toBeGreaterThan(1);
    await killer.query(`KILL ${victim.threadId}`);
    expect((await sleeping).errno).not.toBe(0);
    expect(await errorOf(killer.query('KILL 2147483000'))).toMatchObject({ errno: 1094 });
  });

  test('a server that restarts ends its sessions with a clear error', async () => {
    await using own = await startServer({ flavor: 'mysql-9.7' });
    await createAppSchema(own);
    await using through = await ProxyHarness.start({ source: own, target: own });
    await using connection = await client(through.port);
    const { promise, resolve } = Promise.withResolvers<Error>();
    connection.on('error', resolve);
    await own.restart();
    expect((await promise).message).toMatch(/Lost connection|closed|shutdown/i);
    await using again = await client(through.port);
    expect(await rowsOf(again, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test('metrics count what passed', async () => {
    await using connection = await client(proxy.port);
    await connection.query('SELECT 1');
    const text = await proxy.metrics();
    expect(text).toMatch(/switchyard_proxy_sessions\{role="primary",side="source"\} [1-9]/);
    expect(text).toMatch(/switchyard_proxy_commands_total\{role="primary"\} [1-9]/);
  });
});

test('two workers share one port, and each serves', async () => {
  const port = proxy.port;
  await using second = await ProxyHarness.start({
    source: server,
    target: server,
    proxy: { listen: `127.0.0.1:${port}`, replicaListen: null },
  });
  await using stack = new AsyncDisposableStack();
  for (let count = 0; count < 40 && (await second.sessions()).length === 0; count += 1) stack.use(await client(port));
  expect((await second.sessions()).length).toBeGreaterThan(0);
});
