import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Side } from '../../core/phase.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { client, createAppSchema, direct, errorOf, executeRows, rowsOf } from '../support/proxy-clients.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';
import { TcpRelay } from '../support/tcp-relay.ts';

let servers: Awaited<ReturnType<typeof startServerPair>>;
let source: RunningServer;
let target: RunningServer;
let proxy: ProxyHarness;

beforeAll(async () => {
  servers = await startServerPair();
  ({ source, target } = servers);
  for (const [server, name] of [
    [source, 'source'],
    [target, 'target'],
  ] as const) {
    await createAppSchema(server);
    await using root = await direct(server);
    await root.query('INSERT INTO app.whoami VALUES (?)', [name]);
    await root.query('INSERT INTO other.whoami VALUES (?)', [`other ${name}`]);
    await root.query(`CREATE PROCEDURE app.set_hidden() SET @hidden = 1`);
  }
});

afterAll(async () => {
  await servers?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  proxy = await ProxyHarness.start({ source, target });
  return async () => proxy[Symbol.asyncDispose]();
});

/** Rejects when the connection is told its end. */
async function closing(connection: Connection): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  connection.once('error', reject);
  return promise;
}

const WHO = 'SELECT name FROM app.whoami';

describe('what moves with a session', () => {
  for (const prepare of [true, false]) {
    test(`variables, schema, character set, ${prepare ? 'prepared ahead' : 'at the switch'}`, async () => {
      await using connection = await client(proxy.port, { multipleStatements: true });
      await connection.query(
        `SET @text = 'grüße', @number = -42, @big = 18446744073709551615, @decimal = 1.50, @double = 1.5e0, @nothing = NULL`,
      );
      await connection.query(
        `SET @bytes = X'00ff27', @latin = _latin1 X'e9' COLLATE latin1_bin, @\`odd name\` = 'o''dd'`,
      );
      await connection.query(
        `SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES', time_zone = '+03:00', wait_timeout = 1234, group_concat_max_len = 77`,
      );
      await connection.query(`SET NAMES utf8mb4 COLLATE utf8mb4_bin`);
      await connection.query(`USE other`);
      await connection.query(`SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE`);
      await connection.query(`PREPARE named FROM 'SELECT ? + 1 AS n'`);
      const sql = `SELECT @text AS text, @number AS number, @big AS big, @decimal AS d, @double AS e, @nothing AS nothing, HEX(@bytes) AS bytes,
        HEX(@latin) AS latin, CHARSET(@latin) AS charset, COLLATION(@latin) AS collation, @\`odd name\` AS odd, @@SESSION.sql_mode AS mode, @@SESSION.time_zone AS zone,
        @@SESSION.wait_timeout AS wait, @@SESSION.group_concat_max_len AS len, @@collation_connection AS collation_connection,
        @@character_set_results AS results, DATABASE() AS db, @@SESSION.transaction_isolation AS isolation, @@SESSION.autocommit AS autocommit`;
      const before = await rowsOf(connection, sql);
      await proxy.switchTo('target', { prepare });
      expect(await rowsOf(connection, 'SELECT name FROM whoami')).toEqual([{ name: 'other target' }]);
      expect(await rowsOf(connection, sql)).toEqual(before);
      expect(await rowsOf(connection, 'SET @n = 4; EXECUTE named USING @n')).toMatchObject([{}, [{ n: 5 }]]);
      await proxy.switchTo('source', { prepare });
      expect(await rowsOf(connection, 'SELECT name FROM whoami')).toEqual([{ name: 'other source' }]);
      expect(await rowsOf(connection, sql)).toEqual(before);
    });
  }

  test('every session uses the connection that was opened ahead, whether or not a command waits at the release', async () => {
    const sessions = await Promise.all(Array.from({ length: 12 }, async () => client(proxy.port)));
    await using root = await direct(target);
    const logins = async () => {
      const [row] = await rowsOf(root, `SHOW GLOBAL STATUS LIKE 'Connections'`);
      return Number(row?.['Value']);
    };
    await proxy.prepare('primary', 'target');
    const before = await logins();
    // A hold that ends without a switch, which is tried again.
    await proxy.acknowledged(proxy.push({ hold: 'primary', deadlineMs: Date.now() + 60_000 }), 'drained');
    await proxy.acknowledged(proxy.push({ hold: 'none', deadlineMs: null }));
    const names = proxy
      .switchTo('target', { prepare: false })
      .then(async () => Promise.all(sessions.map(async (session) => rowsOf(session, WHO))));
    expect(await names).toEqual(sessions.map(() => [{ name: 'target' }]));
    expect(await logins()).toBe(before);
    await Promise.all(sessions.map(async (session) => session.end()));
  });

  test('TLS sessions are resumed: opening connections ahead does not cost the servers a signature each', async () => {
    await using first = await client(proxy.port);
    await first.query('DO 1');
    await using second = await client(proxy.port);
    const reused = `SHOW SESSION STATUS LIKE 'Ssl_sessions_reused'`;
    expect(await rowsOf(second, reused)).toMatchObject([{ Value: '1' }]);
  });

  test('what changed after the connection was prepared ahead', async () => {
    await using connection = await client(proxy.port);
    await connection.query(`SET @x = 1, SESSION wait_timeout = 100`);
    await proxy.prepare('primary', 'target');
    await connection.query(`SET @x = 2, SESSION wait_timeout = DEFAULT, SESSION sort_buffer_size = 40000`);
    await connection.query('USE other');
    await proxy.switchTo('target', { prepare: false });
    const [row] = await rowsOf(
      connection,
      'SELECT @x AS x, @@wait_timeout AS w, @@sort_buffer_size AS s, DATABASE() AS db',
    );
    expect(row).toEqual({ x: 2, w: 28_800, s: 40_000, db: 'other' });
  });

  test('values that changed, also to NULL, after the connection was prepared ahead', async () => {
    await using connection = await client(proxy.port);
    await connection.query(`SET NAMES utf8mb4 COLLATE utf8mb4_bin`);
    await connection.query(`SET @x = 1, @y = 1`);
    for (const side of ['target', 'source', 'target'] as const) {
      await proxy.prepare('primary', side);
      await connection.query(`SET @x = CONCAT(@x, '1'), @y = NULL`);
      await connection.query('INSERT INTO t (n) VALUES (5)');
      const sql = 'SELECT @x AS x, @y AS y, @@collation_connection AS c, LAST_INSERT_ID() AS id';
      const before = await rowsOf(connection, sql);
      await proxy.switchTo(side, { prepare: false });
      expect(await rowsOf(connection, sql)).toEqual(before);
      await connection.query(`SET @y = 2`);
    }
  });

  test('prepared statements with parameters of every kind, in the schema where they were prepared', async () => {
    await using connection = await client(proxy.port);
    const first = await connection.prepare('SELECT ? AS a, ? AS b, (SELECT name FROM whoami) AS name');
    const closed = await connection.prepare('SELECT 1');
    const closedLater = await connection.prepare('SELECT 2');
    await closed.close();
    expect((await first.execute([1, 'x']))[0]).toEqual([{ a: 1, b: 'x', name: 'source' }]);
    await connection.query('USE other');
    const second = await connection.prepare('SELECT name FROM whoami WHERE ? = 1');
    await proxy.prepare('primary', 'target');
    await closedLater.close();
    await proxy.switchTo('target', { prepare: false });
    expect((await second.execute([1]))[0]).toEqual([{ name: 'other target' }]);
    expect((await first.execute([null, 'y']))[0]).toEqual([{ a: null, b: 'y', name: 'target' }]);
    const third = await connection.prepare('SELECT 3 AS three');
    expect((await third.execute([]))[0]).toEqual([{ three: 3 }]);
    await using root = await direct(target);
    await expect
      .poll(async () => rowsOf(root, `SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'`))
      .toMatchObject([{ Value: '3' }]);
    await proxy.switchTo('source', { prepare: false });
    expect((await first.execute([2, 'z']))[0]).toEqual([{ a: 2, b: 'z', name: 'source' }]);
    expect((await third.execute([]))[0]).toEqual([{ three: 3 }]);
  });

  test('LAST_INSERT_ID', async () => {
    await using connection = await client(proxy.port);
    await connection.query('INSERT INTO t (id, n) VALUES (4711, 1)');
    await connection.query('INSERT INTO t (n) VALUES (2)');
    const before = await rowsOf(connection, 'SELECT LAST_INSERT_ID() AS id');
    await proxy.switchTo('target');
    expect(await rowsOf(connection, 'SELECT LAST_INSERT_ID() AS id')).toEqual(before);
    expect(before).toEqual([{ id: 4712 }]);
    await proxy.switchTo('source');
  });

  test('autocommit=0 outside a transaction, and the isolation of the next transaction', async () => {
    await using connection = await client(proxy.port);
    await connection.query('SET autocommit = 0');
    await connection.query('SET TRANSACTION READ ONLY');
    await proxy.switchTo('target');
    expect(await errorOf(connection.query('INSERT INTO t (n) VALUES (3)'))).toMatchObject({ errno: 1792 });
    await connection.rollback();
    expect(await rowsOf(connection, 'SELECT @@autocommit AS a')).toEqual([{ a: 0 }]);
    await connection.rollback();
  });

  test('user variables assigned within a SELECT and read in another schema', async () => {
    await using connection = await client(proxy.port);
    await connection.query(`SELECT @found := name FROM app.whoami`);
    await proxy.switchTo('target');
    expect(await rowsOf(connection, 'SELECT @found AS found')).toEqual([{ found: 'source' }]);
  });

  test('a session after COM_RESET_CONNECTION', async () => {
    await using connection = await client(proxy.port);
    await connection.query(`SET NAMES latin1, @x = 1`);
    await connection.reset();
    const sql = 'SELECT @@character_set_client AS c, @@collation_connection AS l, @x AS x, DATABASE() AS db';
    const before = await rowsOf(connection, sql);
    await connection.query(`SET @y = 2`);
    await proxy.switchTo('target');
    expect(await rowsOf(connection, sql)).toEqual(before);
    expect(await rowsOf(connection, 'SELECT @y AS y')).toEqual([{ y: 2 }]);
  });
});

describe('hold', () => {
  test('a command that comes during the hold runs after it, on the other side', async () => {
    await using connection = await client(proxy.port);
    await proxy.acknowledged(proxy.push({ hold: 'primary', deadlineMs: Date.now() + 60_000 }), 'drained');
    const answer = rowsOf(connection, WHO);
    await expect.poll(async () => (await proxy.sessions())[0]?.state).toBe('held');
    await proxy.acknowledged(proxy.push({ fenced: true }), 'drained');
    proxy.push({ hold: 'none', fenced: false, deadlineMs: null, primary: 'target' });
    expect(await answer).toEqual([{ name: 'target' }]);
  });

  test('FOUND_ROWS() right after the statement that counted', async () => {
    await using connection = await client(proxy.port);
    await connection.query('SELECT SQL_CALC_FOUND_ROWS 1 FROM information_schema.collations LIMIT 1');
    const count = rowsOf(connection, 'SELECT FOUND_ROWS() AS count');
    await proxy.switchTo('target');
    expect((await count)[0]?.['count']).toBeGreaterThan(50);
    expect(await rowsOf(connection, WHO)).toEqual([{ name: 'target' }]);
  });

  test('parameter data sent ahead keeps the session until the statement is closed, which nobody answers', async () => {
    await using connection = await client(proxy.port);
    const statement = await connection.prepare('SELECT ? AS a');
    const id = (statement as unknown as { statement: { id: number } }).statement.id;
    const socket = (connection as unknown as { connection: { stream: { write(bytes: Buffer): void } } }).connection
      .stream;
    socket.write(Buffer.of(8, 0, 0, 0, 0x18, id, 0, 0, 0, 0, 0, 65));
    await expect
      .poll(async () => (await proxy.sessions())[0]?.pins)
      .toEqual(['parameter data sent ahead of an execution']);
    const epoch = proxy.push({ hold: 'primary', deadlineMs: Date.now() + 60_000 });
    expect((await proxy.acknowledged(epoch)).undrained).toHaveLength(1);
    await statement.close();
    await proxy.acknowledged(epoch, 'drained');
    proxy.push({ hold: 'none', deadlineMs: null });
  });

  test('parameter data sent ahead for a statement that cannot be prepared is forgotten with its execution', async () => {
    await using connection = await client(proxy.port);
    await using root = await direct(source);
    await root.query('CREATE TABLE app.only_here (id INT, b LONGBLOB)');
    const statement = await connection.prepare('INSERT INTO only_here VALUES (1, ?)');
    const id = (statement as unknown as { statement: { id: number } }).statement.id;
    const socket = (connection as unknown as { connection: { stream: { write(bytes: Buffer): void } } }).connection
      .stream;
    await proxy.switchTo('target');
    socket.write(Buffer.of(8, 0, 0, 0, 0x18, id, 0, 0, 0, 0, 0, 65));
    expect(await errorOf(statement.execute(['x']))).toMatchObject({ errno: 1615 });
    expect((await proxy.sessions())[0]?.pins).toEqual([]);
    expect(await errorOf(statement.execute(['x']))).toMatchObject({ errno: 1146 });
    await root.query('DROP TABLE app.only_here');
  });

  test('a ping is answered during the hold', async () => {
    await using connection = await client(proxy.port);
    await proxy.acknowledged(proxy.push({ hold: 'primary', deadlineMs: Date.now() + 60_000 }), 'drained');
    await connection.ping();
    proxy.push({ hold: 'none', deadlineMs: null });
    expect(await rowsOf(connection, WHO)).toEqual([{ name: 'source' }]);
  });

  test('an open transaction keeps the role undrained until it ends; a new one waits', async () => {
    await using busy = await client(proxy.port);
    await using waiting = await client(proxy.port);
    await busy.beginTransaction();
    await busy.query('INSERT INTO t (n) VALUES (10)');
    const epoch = proxy.push({ hold: 'primary', deadlineMs: Date.now() + 60_000 });
    const ack = await proxy.acknowledged(epoch);
    expect(ack.undrained).toMatchObject([{ user: 'app', reasons: ['open transaction'] }]);
    const held = waiting.beginTransaction().then(async () => rowsOf(waiting, WHO));
    await busy.query('INSERT INTO t (n) VALUES (11)');
    await busy.commit();
    await proxy.acknowledged(epoch, 'drained');
    await proxy.acknowledged(proxy.push({ fenced: true }), 'drained');
    proxy.push({ hold: 'none', fenced: false, deadlineMs: null, primary: 'target' });
    expect(await held).toEqual([{ name: 'target' }]);
    await using root = await direct(source);
    expect(await rowsOf(root, 'SELECT COUNT(*) AS count FROM app.t WHERE n IN (10, 11)')).toEqual([{ count: 2 }]);
  });

  test('an error that ended the transaction: the server is asked', async () => {
    await using one = await client(proxy.port);
    await one.beginTransaction();
    expect(await errorOf(one.query('SELECT nothing'))).toMatchObject({ errno: 1054 });
    const epoch = proxy.push({ hold: 'primary', deadlineMs: Date.now() + 60_000 });
    expect((await proxy.acknowledged(epoch)).undrained).toHaveLength(1);
    await one.rollback();
    await proxy.acknowledged(epoch, 'drained');
    proxy.push({ hold: 'none', deadlineMs: null });
    expect(await errorOf(one.query('SELECT nothing'))).toMatchObject({ errno: 1054 });
    await proxy.acknowledged(proxy.push({ hold: 'primary', deadlineMs: Date.now() + 60_000 }), 'drained');
    proxy.push({ hold: 'none', deadlineMs: null });
  });

  test('a transaction that an error has ended keeps nobody: the server is asked where nobody goes on', async () => {
    await using one = await client(proxy.port);
    const endByError = async () => {
      await one.beginTransaction();
      await one.query('INSERT INTO t (n) VALUES (12)');
      // It commits before it fails.
      expect(await errorOf(one.query('CREATE TABLE t (id INT)'))).toMatchObject({ errno: 1050 });
    };
    await endByError();
    expect((await proxy.sessions())[0]?.inTransaction).toBe(true);
    await proxy.prepare('primary', 'target');
    expect((await proxy.sessions())[0]?.inTransaction).toBe(false);
    await endByError();
    await proxy.switchTo('target', { prepare: false });
    expect(await rowsOf(one, WHO)).toEqual([{ name: 'target' }]);
  });

  test('a connection opened ahead that its server ends is not used', async () => {
    await using connection = await client(proxy.port);
    await using root = await direct(target);
    // Said before it closes the connection.
    await connection.query('SET SESSION wait_timeout = 1');
    const openedAhead = async () => {
      await connection.query('DO 1');
      return rowsOf(root, `SELECT id FROM information_schema.processlist WHERE user = 'app'`);
    };
    await expect.poll(openedAhead).toEqual([]);
    await proxy.prepare('primary', 'target');
    expect(await openedAhead()).toHaveLength(1);
    await expect.poll(openedAhead).toEqual([]);
    await proxy.switchTo('target', { prepare: false });
    expect(await rowsOf(connection, WHO)).toEqual([{ name: 'target' }]);
  });

  test('pinned sessions are named with their reasons, and drain when the reason is gone', async () => {
    await using temporary = await client(proxy.port);
    await using locked = await client(proxy.port);
    await using hidden = await client(proxy.port);
    await temporary.query('CREATE TEMPORARY TABLE scratch (a INT)');
    await locked.query(`SELECT GET_LOCK('mine', 1)`);
    await hidden.query('CALL set_hidden()');
    const report = await proxy.prepare('primary', 'target');
    expect(report.pinned.flatMap(({ reasons }) => reasons).sort()).toEqual([
      'session state changed inside a stored routine',
      'temporary table app.scratch',
      'user lock mine',
    ]);
    const epoch = proxy.push({ hold: 'primary', deadlineMs: Date.now() + 60_000 });
    expect((await proxy.acknowledged(epoch)).undrained).toHaveLength(3);
    await temporary.query('DROP TABLE scratch');
    await locked.query(`DO RELEASE_LOCK('mine')`);
    await hidden.end();
    await proxy.acknowledged(epoch, 'drained');
    proxy.push({ hold: 'none', deadlineMs: null, primary: 'target' });
    expect(await rowsOf(temporary, WHO)).toEqual([{ name: 'target' }]);
  });

  test('a pinned session is closed with a clear error when the primary moves all the same', async () => {
    await using pinned = await client(proxy.port);
    await pinned.query('CREATE TEMPORARY TABLE scratch2 (a INT)');
    const { promise, resolve } = Promise.withResolvers<Error>();
    pinned.on('error', resolve);
    proxy.push({ primary: 'target' });
    expect((await promise).message).toMatch(/could not be carried over: temporary table app.scratch2|closed/);
  });

  test('the deadline releases to the current side while not fenced', async () => {
    await using connection = await client(proxy.port);
    const epoch = proxy.push({ hold: 'primary', deadlineMs: Date.now() + 1000 });
    await proxy.acknowledged(epoch, 'drained');
    expect(await rowsOf(connection, WHO)).toEqual([{ name: 'source' }]);
    await expect.poll(() => proxy.acks(epoch).at(-1)?.state).toBe('applied');
  });

  test('once fenced, a worker holds past the deadline, also without its supervisor (I6)', async () => {
    await using connection = await client(proxy.port);
    const deadlineMs = Date.now() + 200;
    proxy.push({ hold: 'primary', deadlineMs });
    await proxy.acknowledged(proxy.push({ fenced: true }), 'drained');
    const answer = rowsOf(connection, WHO);
    proxy.loseSupervisor();
    const winner = await Promise.race([
      answer.then(() => 'released'),
      new Promise((resolve) => setTimeout(() => resolve('held'), deadlineMs + 300 - Date.now())),
    ]);
    expect(winner).toBe('held');
    answer.catch(() => {});
  });

  test('new connections wait and come out on the other side', async () => {
    await proxy.acknowledged(proxy.push({ hold: 'primary', deadlineMs: Date.now() + 60_000 }), 'drained');
    const connecting = client(proxy.port);
    await proxy.acknowledged(proxy.push({ fenced: true }), 'drained');
    proxy.push({ hold: 'none', fenced: false, deadlineMs: null, primary: 'target' });
    await using connection = await connecting;
    expect(await rowsOf(connection, WHO)).toEqual([{ name: 'target' }]);
  });

  test('before the fence a hold has its limit, for sessions and for logins; after it there is none', async () => {
    await using limited = await ProxyHarness.start({ source, target, proxy: { holdTimeoutMs: 150 } });
    await using held = await client(limited.port);
    await using large = await client(limited.port);
    await using fenced = await client(limited.port);
    await limited.acknowledged(limited.push({ hold: 'primary', deadlineMs: null }), 'drained');
    expect((await errorOf(held.query(WHO))).message).toContain('holdTimeoutMs');
    expect((await errorOf(client(limited.port))).message).toContain('holdTimeoutMs');
    // It is not read to its end while it may not go.
    const command = large.query('INSERT INTO t (b) VALUES (?)', [Buffer.alloc(900_000)]);
    expect((await errorOf(command)).message).toContain('holdTimeoutMs');
    await limited.acknowledged(limited.push({ fenced: true }), 'drained');
    const startedAt = Date.now();
    const answer = rowsOf(fenced, WHO);
    await expect.poll(() => Date.now() - startedAt).toBeGreaterThan(300);
    limited.push({ hold: 'none', fenced: false, primary: 'target' });
    expect(await answer).toEqual([{ name: 'target' }]);
  });

  test('the limit of a hold counts while the server does not say what has to be read from it', async () => {
    await using relay = await TcpRelay.start(source);
    await using limited = await ProxyHarness.start({ source: relay, target, proxy: { holdTimeoutMs: 150 } });
    await using connection = await client(limited.port);
    await connection.query('SET @unread = 5');
    relay.stall();
    await limited.acknowledged(limited.push({ hold: 'primary', deadlineMs: null }));
    expect((await errorOf(connection.query(WHO))).message).toContain('holdTimeoutMs');
  });

  test('a held session outlasts its own wait_timeout, which the server tells before it closes the connection', async () => {
    await using connection = await client(proxy.port);
    await using root = await direct(source);
    const ofApp = async () => rowsOf(root, `SELECT id FROM information_schema.processlist WHERE user = 'app'`);
    await connection.query('SET @kept = 5, SESSION wait_timeout = 1');
    await proxy.acknowledged(proxy.push({ hold: 'primary', deadlineMs: Date.now() + 60_000 }), 'drained');
    const answer = rowsOf(connection, 'SELECT @kept AS kept');
    await expect.poll(ofApp).toEqual([]);
    proxy.push({ hold: 'none', deadlineMs: null });
    expect(await answer).toEqual([{ kept: 5 }]);
  });

  test('a server that ends held sessions does not end those of the clients', async () => {
    await using connection = await client(proxy.port);
    await connection.query('SET @kept = 5');
    await proxy.acknowledged(proxy.push({ hold: 'primary', deadlineMs: Date.now() + 60_000 }), 'drained');
    await using root = await direct(source);
    const sessions = await rowsOf(root, `SELECT id FROM information_schema.processlist WHERE user = 'app'`);
    // One may be ending by itself: of a proxy of an earlier test.
    for (const { id } of sessions) await root.query(`KILL ${id}`).catch(() => {});
    proxy.push({ hold: 'none', deadlineMs: null, primary: 'target' });
    expect(await rowsOf(connection, 'SELECT @kept AS kept, (SELECT name FROM whoami) AS name')).toEqual([
      { kept: 5, name: 'target' },
    ]);
  });

  test('the replica role moves by itself', async () => {
    await using primary = await client(proxy.port);
    await using replica = await client(proxy.replicaPort);
    await proxy.acknowledged(proxy.push({ hold: 'replica', deadlineMs: Date.now() + 60_000 }), 'drained');
    expect(await rowsOf(primary, WHO)).toEqual([{ name: 'source' }]);
    proxy.push({ hold: 'none', deadlineMs: null, replica: 'target' });
    expect(await rowsOf(replica, WHO)).toEqual([{ name: 'target' }]);
    expect(await rowsOf(primary, WHO)).toEqual([{ name: 'source' }]);
  });

  test.each(['primary', 'replica'] as const)(
    'a hundred sessions when the route of %ss changes without a hold',
    async (role) => {
      const port = role === 'primary' ? proxy.port : proxy.replicaPort;
      await using stack = new AsyncDisposableStack();
      const connections = await Promise.all(
        Array.from({ length: 100 }, async (_, mine) => {
          const connection = stack.use(await client(port));
          await connection.query('SET @mine = ?', [mine]);
          return connection;
        }),
      );
      proxy.push({ [role]: 'target' });
      const answers = await Promise.all(
        connections.map(async (connection) => rowsOf(connection, 'SELECT @mine AS mine, name FROM app.whoami')),
      );
      expect(answers.flat()).toEqual(connections.map((_, mine) => ({ mine, name: 'target' })));
      expect(await proxy.metrics()).toContain('switchyard_proxy_moves_total{outcome="moved"} 100');
    },
  );

  test('the time for preparing is kept; what is left moves all the same', async () => {
    await using stack = new AsyncDisposableStack();
    const connections: Connection[] = [];
    for (let i = 0; i < 20; i += 1) connections.push(stack.use(await client(proxy.port)));
    const { prepared, left, failures } = await proxy.prepare('primary', 'target', 1);
    expect(failures).toEqual([]);
    expect(prepared + left).toBe(20);
    expect(left).toBeGreaterThan(0);
    await proxy.switchTo('target', { prepare: false });
    for (const connection of connections) expect(await rowsOf(connection, WHO)).toEqual([{ name: 'target' }]);
  });

  test('a session that cannot be carried over is counted, with the reason', async () => {
    await using root = await direct(source);
    await root.query(`CREATE USER only_here@'%' IDENTIFIED BY 'x'`);
    await using connection = await client(proxy.port, { user: 'only_here', password: 'x', database: '' });
    await using pinned = await client(proxy.port);
    await pinned.query('CREATE TEMPORARY TABLE scratch (a INT)');
    const lost = Promise.all([connection, pinned].map(async (one) => errorOf(closing(one))));
    proxy.push({ primary: 'target' });
    await lost;
    const metrics = await proxy.metrics();
    for (const reason of ['access denied', 'pinned'])
      expect(metrics).toContain(`switchyard_proxy_failed_moves_total{reason="${reason}"} 1`);
    expect(metrics).toContain('switchyard_proxy_moves_total{outcome="failed"} 2');
    await root.query(`DROP USER only_here@'%'`);
  });

  test('a failed preparation is reported with the words of the server', async () => {
    await using root = await direct(source);
    await root.query(`CREATE USER only_source@'%' IDENTIFIED BY 'x'`);
    await using connection = await client(proxy.port, { user: 'only_source', password: 'x', database: '' });
    const report = await proxy.prepare('primary', 'target');
    expect(report.failures).toMatchObject([{ user: 'only_source', reason: expect.stringContaining('Access denied') }]);
    await connection.end();
    await root.query(`DROP USER only_source@'%'`);
  });

  test('drain ends sessions at their boundary with 1053', async () => {
    await using idle = await client(proxy.port);
    await using busy = await client(proxy.port);
    await busy.beginTransaction();
    await busy.query('INSERT INTO t (n) VALUES (20)');
    const { promise, resolve } = Promise.withResolvers<Error>();
    idle.on('error', resolve);
    const drained = proxy.drain(5000);
    await promise;
    await busy.query('INSERT INTO t (n) VALUES (21)');
    await busy.commit();
    await drained;
    await proxy.ended;
    await using root = await direct(source);
    expect(await rowsOf(root, 'SELECT COUNT(*) AS count FROM app.t WHERE n IN (20, 21)')).toEqual([{ count: 2 }]);
  });
});

describe('under load', () => {
  test('32 sessions of mixed work over switches: no error, every acknowledged write is on the side of its time', async () => {
    for (const server of [source, target]) {
      await using root = await direct(server);
      await root.query('DELETE FROM app.t');
    }
    const acknowledged = new Set<number>();
    const stop = new AbortController();
    let next = 1_000_000;
    const work = async (kind: number): Promise<void> => {
      await using connection = await client(proxy.port);
      await connection.query('SET @mine = ?', [kind]);
      while (!stop.signal.aborted) {
        const n = next++;
        if (kind % 4 === 0) await connection.query('INSERT INTO t (n) VALUES (?)', [n]);
        else if (kind % 4 === 1) await connection.execute('INSERT INTO t (n, s) VALUES (?, ?)', [n, 'text']);
        else if (kind % 4 === 2) {
          await connection.beginTransaction();
          await connection.execute('INSERT INTO t (n) VALUES (?)', [n]);
          await connection.query('SELECT COUNT(*) FROM t WHERE n = ?', [n]);
          await connection.commit();
        } else {
          const [row] = await executeRows(connection, 'SELECT @mine AS mine, ? AS n', [n]);
          expect(row).toEqual({ mine: kind, n });
          await connection.query('INSERT INTO t (n) VALUES (?)', [n]);
        }
        acknowledged.add(n);
      }
    };
    const workers = Array.from({ length: 32 }, (_, kind) => work(kind));
    const failed = Promise.all(workers).then(() => {});
    const pauses: number[] = [];
    for (const side of ['target', 'source', 'target', 'source', 'target', 'source'] satisfies Side[]) {
      const count = acknowledged.size;
      await Promise.race([
        failed,
        expect.poll(() => acknowledged.size, { timeout: 20_000 }).toBeGreaterThan(count + 200),
      ]);
      pauses.push(await proxy.switchTo(side, { prepare: pauses.length % 3 !== 2 }));
    }
    stop.abort();
    await failed;
    const stored = new Set<number>();
    for (const server of [source, target]) {
      await using root = await direct(server);
      const rows = await rowsOf(root, 'SELECT n FROM app.t');
      expect(rows.length).toBeGreaterThan(100);
      for (const { n } of rows) {
        expect(stored.has(n)).toBe(false);
        stored.add(n);
      }
    }
    expect(stored.size).toBe(acknowledged.size);
    for (const n of acknowledged) expect(stored.has(n)).toBe(true);
    console.log(`pauses ms: ${pauses.map((pause) => pause.toFixed(1)).join(' ')}, ${acknowledged.size} writes`);
  });
});
