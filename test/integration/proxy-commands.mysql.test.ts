import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CAPABILITY } from '../../core/wire/capabilities.ts';
import { COMMAND } from '../../core/wire/command.ts';
import { serverBinary } from '../../servers/installation.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { client, createAppSchema, direct, errorOf, rowsOf } from '../support/proxy-clients.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';
import { RawClient } from '../support/raw-client.ts';

let server: RunningServer;
let proxy: ProxyHarness;

beforeAll(async () => {
  server = await startServer({ flavor: 'mysql-9.7', options: ['--max-allowed-packet=4194304'] });
  await createAppSchema(server);
  await using root = await direct(server);
  for (let n = 1; n <= 5; n += 1) await root.query('INSERT INTO app.t (n, s) VALUES (?, ?)', [n, 'ä'.repeat(n)]);
  await root.query(
    `CREATE PROCEDURE app.out_parameter(OUT a INT, INOUT b VARCHAR(10)) BEGIN SET a = 7, b = CONCAT(b, '!'); SELECT 1; END`,
  );
  await root.query(`GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO app@'%'`);
  proxy = await ProxyHarness.start({ source: server, target: server });
});

afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

const bytes = (command: number, ...rest: (Buffer | string | number[])[]) =>
  Buffer.concat([
    Buffer.of(command),
    ...rest.map((part) => (Array.isArray(part) ? Buffer.from(part) : Buffer.from(part))),
  ]);
const query = (sql: string) => bytes(COMMAND.QUERY, sql);
/** Statement 1, flags, one iteration. */
const execute = (flags: number, ...rest: number[]) =>
  bytes(COMMAND.STMT_EXECUTE, [1, 0, 0, 0, flags, 1, 0, 0, 0, ...rest]);
const CURSOR = 1;
const statement = (command: number, ...rest: number[]) => bytes(command, [1, 0, 0, 0, ...rest]);

/** Each is a conversation of its own: what is said, in order. */
const CONVERSATIONS: [string, Buffer[]][] = [
  [
    'FIELD_LIST',
    [bytes(COMMAND.FIELD_LIST, 't\0'), bytes(COMMAND.FIELD_LIST, 't\0s%'), bytes(COMMAND.FIELD_LIST, 'missing\0')],
  ],
  [
    'SET_OPTION',
    [
      query('SELECT 1; SELECT 2'),
      bytes(COMMAND.SET_OPTION, [0, 0]),
      query('SELECT 1; DO 1; SELECT 2'),
      bytes(COMMAND.SET_OPTION, [1, 0]),
      query('SELECT 1; SELECT 2'),
      bytes(COMMAND.SET_OPTION, [9, 0]),
    ],
  ],
  [
    'INIT_DB',
    [
      bytes(COMMAND.INIT_DB, 'other'),
      query('SELECT DATABASE()'),
      bytes(COMMAND.INIT_DB, 'missing'),
      query('SELECT DATABASE()'),
    ],
  ],
  [
    'RESET_CONNECTION',
    [query('SET @x = 1'), bytes(COMMAND.RESET_CONNECTION), query('SELECT @x, DATABASE(), @@collation_connection')],
  ],
  [
    'PING, DEBUG and what nobody knows',
    [
      bytes(COMMAND.PING),
      bytes(COMMAND.DEBUG),
      bytes(0x7f, 'abc'),
      bytes(COMMAND.SLEEP),
      bytes(COMMAND.TIME),
      bytes(COMMAND.CONNECT),
    ],
  ],
  [
    'a cursor, fetched in pieces',
    [
      bytes(COMMAND.STMT_PREPARE, 'SELECT n, s FROM t ORDER BY n'),
      execute(CURSOR),
      statement(COMMAND.STMT_FETCH, 2, 0, 0, 0),
      statement(COMMAND.STMT_FETCH, 2, 0, 0, 0),
      statement(COMMAND.STMT_FETCH, 2, 0, 0, 0),
      statement(COMMAND.STMT_FETCH, 2, 0, 0, 0),
      statement(COMMAND.STMT_RESET),
      execute(CURSOR),
      statement(COMMAND.STMT_CLOSE),
      execute(0),
    ],
  ],
  [
    'OUT parameters of a procedure',
    [
      bytes(COMMAND.STMT_PREPARE, 'CALL out_parameter(?, ?)'),
      // Both bound: NULL of type 3 (INT), 'x' of type 253.
      execute(0, 0b01, 1, 3, 0, 253, 0, 1, 0x78),
      execute(0, 0b01, 0, 1, 0x79),
    ],
  ],
  [
    'long data in pieces',
    [
      bytes(COMMAND.STMT_PREPARE, 'SELECT LENGTH(?)'),
      statement(COMMAND.STMT_SEND_LONG_DATA, 0, 0, 65, 66),
      statement(COMMAND.STMT_SEND_LONG_DATA, 0, 0, 67),
      execute(0, 0, 1, 252, 0),
      statement(COMMAND.STMT_RESET),
      execute(0, 1, 1, 252, 0),
    ],
  ],
  [
    'statements that do not exist',
    [
      execute(0),
      statement(COMMAND.STMT_FETCH, 1, 0, 0, 0),
      statement(COMMAND.STMT_RESET),
      statement(COMMAND.STMT_CLOSE),
    ],
  ],
  [
    'packets that end too early',
    [bytes(COMMAND.STMT_EXECUTE, [1]), bytes(COMMAND.STMT_FETCH), bytes(COMMAND.SET_OPTION), query('SELECT 1')],
  ],
  [
    'errors, warnings, empty results',
    [
      query('SELEC'),
      query(''),
      query(`SELECT CAST('x' AS SIGNED)`),
      query('SHOW WARNINGS'),
      query('SELECT 1 FROM t WHERE 0'),
      query('INSERT INTO t (n) SELECT 9 WHERE FALSE'),
      query('UPDATE t SET n = n WHERE n = 3'),
    ],
  ],
  [
    'trackers',
    [
      query('SET autocommit = 0'),
      query('USE other'),
      query('SET @x = 1, sql_mode = DEFAULT'),
      query('SET NAMES latin1'),
      query('SELECT 1'),
      query('COMMIT'),
    ],
  ],
];

describe('the answers are those of a direct connection, byte by byte', () => {
  const FLAVORS: [string, number[]][] = [
    ['with DEPRECATE_EOF', [CAPABILITY.DEPRECATE_EOF]],
    ['without', []],
    ['with session tracking', [CAPABILITY.DEPRECATE_EOF, CAPABILITY.SESSION_TRACK]],
  ];
  for (const [flavor, capabilities] of FLAVORS) {
    test.each(CONVERSATIONS)(`%s, ${flavor}`, async (_, commands) => {
      await using through = await RawClient.open(proxy.port, { capabilities });
      await using directly = await RawClient.open(server.port, { capabilities });
      for (const command of commands) {
        const expected = await directly.ask(command);
        const answer = await through.ask(command);
        expect([command, show(answer)]).toEqual([command, show(expected)]);
      }
    });
  }

  function show(packets: (Buffer | 'closed')[]): string[] {
    return packets.map((packet) => (packet === 'closed' ? packet : packet.toString('latin1')));
  }

  test('STATISTICS, a bare text', async () => {
    await using through = await RawClient.open(proxy.port);
    const [text] = await through.ask(bytes(COMMAND.STATISTICS));
    expect(String(text)).toMatch(/^Uptime: \d+ {2}Threads: \d+/);
  });

  test.each([8, 45, 255, 63])('collation %i at the login', async (collation) => {
    const sql = query('SELECT @@character_set_client, @@character_set_results, @@collation_connection');
    await using through = await RawClient.open(proxy.port, { collation });
    await using directly = await RawClient.open(server.port, { collation });
    expect(show(await through.ask(sql))).toEqual(show(await directly.ask(sql)));
  });
});

test('COM_CHANGE_USER has two bytes for the collation, and the session keeps it when it moves', async () => {
  await using through = await RawClient.open(proxy.port);
  await using directly = await RawClient.open(server.port);
  const sql = query('SELECT @@character_set_client, @@character_set_results, @@collation_connection');
  for (const collation of [45, 303, 309]) {
    expect(await through.changeUser(collation)).toBe(0);
    expect(await directly.changeUser(collation)).toBe(0);
    // Without the definitions of the columns: they tell the default collation of the results' character set.
    const values = async (one: RawClient) =>
      (await one.ask(sql)).map(String).filter((packet) => !packet.startsWith('\x03def'));
    const expected = await values(directly);
    expect(await values(through)).toEqual(expected);
    await proxy.switchTo('target');
    expect(await values(through)).toEqual(expected);
    await proxy.switchTo('source');
  }
});

test('COM_CHANGE_USER at the beginning of a hold does not hold back the switch: it is answered on the other side', async () => {
  await using own = await ProxyHarness.start({ source: server, target: server });
  await using raw = await RawClient.open(own.port);
  await raw.ask(query('CREATE TEMPORARY TABLE left_behind (a INT)'));
  const changed = raw.changeUser(45, async () => {
    await own.switchTo('target', { prepare: false });
  });
  expect(await changed).toBe(0);
  expect((await own.sessions()).map(({ side, pins }) => ({ side, pins }))).toEqual([{ side: 'target', pins: [] }]);
});

test('closing a statement that is closed already does not close another one', async () => {
  await using raw = await RawClient.open(proxy.port, { capabilities: [CAPABILITY.DEPRECATE_EOF] });
  // The server's numbers are ahead of those that the client gets.
  await raw.ask(bytes(COMMAND.STMT_PREPARE, 'SELECT * FROM missing'));
  await raw.ask(bytes(COMMAND.STMT_PREPARE, 'SELECT 1'));
  await raw.ask(bytes(COMMAND.STMT_PREPARE, 'SELECT 2'));
  for (let times = 0; times < 2; times += 1) await raw.ask(bytes(COMMAND.STMT_CLOSE, [2, 0, 0, 0]));
  const [answer] = await raw.ask(execute(0));
  expect(answer === 'closed' ? answer : answer?.[0]).toBe(1);
});

test('mysqlbinlog reads through the proxy what it reads directly, and pins its session', async () => {
  await using root = await direct(server);
  const [file] = await rowsOf(root, 'SHOW BINARY LOGS');
  const read = async (port: number) => {
    const { stdout } = await promisify(execFile)(
      await serverBinary('mysqlbinlog'),
      [
        '--no-defaults',
        '--protocol=tcp',
        '-h127.0.0.1',
        `-P${port}`,
        '-uapp',
        '-papp-password',
        '-v',
        '--read-from-remote-server',
        file?.['Log_name'],
      ],
      { maxBuffer: 1 << 26 },
    );
    return stdout;
  };
  const through = await read(proxy.port);
  expect(through).toContain('INSERT INTO `app`.`t`');
  expect(through).toBe(await read(server.port));
});

test('a packet over max_allowed_packet is refused in the words of the server', async () => {
  await using connection = await client(proxy.port);
  const refused = await errorOf(connection.query(`SELECT '${'x'.repeat(10_000_000)}'`));
  expect(refused.message).toMatch(/max_allowed_packet|closed|ECONNRESET|EPIPE/);
  await using other = await client(proxy.port);
  expect(await rowsOf(other, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('connections are limited by address and by user, and the place is free again afterwards', async () => {
  await using byAddress = await ProxyHarness.start({
    source: server,
    target: server,
    proxy: { maxConnectionsPerAddress: 1 },
  });
  const first = await client(byAddress.port);
  expect(await errorOf(client(byAddress.port))).toMatchObject({ errno: 1203 });
  await first.end();
  await expect
    .poll(async () =>
      client(byAddress.port).then(
        async (one) => one.end().then(() => true),
        () => false,
      ),
    )
    .toBe(true);
  await using byUser = await ProxyHarness.start({
    source: server,
    target: server,
    proxy: { maxConnectionsPerUser: 1 },
  });
  await using root = await client(byUser.port, { user: server.adminUser, password: server.adminPassword });
  await using app = await client(byUser.port);
  expect(await errorOf(client(byUser.port))).toMatchObject({ errno: 1203 });
  void [root, app];
  expect(await byUser.metrics()).toMatch(/switchyard_proxy_refusals_total\{reason="too many connections"\} 1/);
});

test('a rolling restart: no acknowledged write is lost, and new connections find the other worker', async () => {
  await using root = await direct(server);
  await root.query('CREATE TABLE app.ledger (id INT PRIMARY KEY)');
  const old = await ProxyHarness.start({ source: server, target: server });
  await using next = await ProxyHarness.start({
    source: server,
    target: server,
    proxy: { listen: `127.0.0.1:${old.port}`, replicaListen: null },
  });
  const acknowledged: number[] = [];
  const errors: string[] = [];
  const stop = new AbortController();
  let last = 0;
  const work = async () => {
    while (!stop.signal.aborted) {
      try {
        await using connection = await client(old.port);
        while (!stop.signal.aborted) {
          const id = ++last;
          await connection.beginTransaction();
          await connection.query('INSERT INTO ledger VALUES (?)', [id]);
          await connection.commit();
          acknowledged.push(id);
        }
      } catch (error) {
        errors.push(String(error));
      }
    }
  };
  const workers = Array.from({ length: 8 }, work);
  await expect.poll(() => acknowledged.length).toBeGreaterThan(100);
  await old.drain(5000);
  await old.ended;
  const before = acknowledged.length;
  await expect.poll(() => acknowledged.length).toBeGreaterThan(before + 100);
  expect((await next.sessions()).length).toBeGreaterThan(0);
  stop.abort();
  await Promise.all(workers);
  const stored = new Set((await rowsOf(root, 'SELECT id FROM app.ledger')).map(({ id }) => id as number));
  expect(acknowledged.filter((id) => !stored.has(id))).toEqual([]);
  // Between transactions: with its own words, or found closed.
  expect(errors.filter((error) => !/shutdown|closed|Connection lost/i.test(error))).toEqual([]);
  await old[Symbol.asyncDispose]();
});
