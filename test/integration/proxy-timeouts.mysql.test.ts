import type { Socket } from 'node:net';
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { COMMAND } from '../../core/wire/command.ts';
import { framePacket } from '../../core/wire/packet.ts';
import { OtherMachine } from '../support/other-machine.ts';
import { client, createAppSchema, direct, errorOf, rowsOf } from '../support/proxy-clients.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';

let server: RunningServer;

beforeAll(async () => {
  server = await startServer({ flavor: 'mysql-9.7' });
  await createAppSchema(server);
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
});

/** What a connection that nobody uses is told in the end. */
async function lastWords(connection: Connection): Promise<Error> {
  const { promise, resolve } = Promise.withResolvers<Error>();
  connection.once('error', resolve);
  return promise;
}

function socketOf(connection: Connection): Socket {
  return (connection as unknown as { connection: { stream: Socket } }).connection.stream;
}

const refused = (reason: string) => new RegExp(`switchyard_proxy_refusals_total\\{reason="${reason}"\\} 1\\b`);

test.each(['wait_timeout', 'interactive_timeout'])(
  "the server's %s ends an idle session, in its own words",
  async (name) => {
    await using proxy = await ProxyHarness.start({ source: server, target: server });
    await using root = await direct(server);
    const [before] = await rowsOf(root, `SELECT @@global.${name} AS seconds`);
    await root.query(`SET GLOBAL ${name} = 1`);
    // As the mysql client says it: interactive.
    const flags = name === 'interactive_timeout' ? ['INTERACTIVE'] : [];
    try {
      await using connection = await client(proxy.port, { flags });
      expect(await lastWords(connection)).toMatchObject({
        code: 4031,
        message: expect.stringContaining('See wait_timeout and interactive_timeout'),
      });
      await expect.poll(async () => proxy.sessions()).toEqual([]);
    } finally {
      await root.query(`SET GLOBAL ${name} = ${before?.['seconds']}`);
    }
  },
);

test('a client that changes its user and then says nothing is cut off, and leaves no connection at the server', async () => {
  await using proxy = await ProxyHarness.start({ source: server, target: server, proxy: { handshakeTimeoutMs: 500 } });
  await using connection = await client(proxy.port);
  const socket = socketOf(connection);
  socket.removeAllListeners('data');
  // It is asked for the password in another way.
  socket.write(framePacket(Buffer.from('\x11app\0\x01xapp\0\x2d\0mysql_native_password\0'), 0));
  socket.resume();
  await expect.poll(async () => proxy.sessions()).toEqual([]);
  expect(await proxy.metrics()).toMatch(refused('handshake timeout'));
  await using root = await direct(server);
  const left = `SELECT COUNT(*) AS n FROM performance_schema.processlist WHERE user = 'app'`;
  await expect.poll(async () => (await rowsOf(root, left))[0]?.['n']).toBe(0);
});

test('our own idle timeout, where one is configured; a running statement is not idle', async () => {
  await using proxy = await ProxyHarness.start({ source: server, target: server, proxy: { idleTimeoutMs: 1000 } });
  await using busy = await client(proxy.port);
  const sleeping = rowsOf(busy, 'SELECT SLEEP(2) AS slept');
  await using idle = await client(proxy.port);
  await idle.query('SELECT 1');
  expect(await lastWords(idle)).toMatchObject({ code: 4031, message: expect.stringContaining('proxy.idleTimeoutMs') });
  expect(await proxy.metrics()).toMatch(refused('idle timeout'));
  expect(await sleeping).toEqual([{ slept: 0 }]);
});

test('a client that takes nothing is cut off, unless its session asked for more time; the others do not wait for it', async () => {
  await using proxy = await ProxyHarness.start({
    source: server,
    target: server,
    proxy: { clientStallTimeoutMs: 500 },
  });
  const large = `SELECT REPEAT('x', 1000000) AS x FROM information_schema.columns LIMIT 60`;
  await using stuck = await client(proxy.port);
  await using patient = await client(proxy.port);
  await using other = await client(proxy.port);
  await patient.query('SET net_write_timeout = 600');
  const cut = errorOf(stuck.query(large));
  const whole = rowsOf(patient, large);
  for (const connection of [stuck, patient]) socketOf(connection).pause();
  await expect.poll(async () => (await proxy.sessions()).length).toBe(2);
  expect(await proxy.metrics()).toMatch(refused('slow reader'));
  expect(await rowsOf(other, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  for (const connection of [stuck, patient]) socketOf(connection).resume();
  expect((await whole).map(({ x }) => String(x).length)).toEqual(Array(60).fill(1_000_000));
  expect((await cut).message).toMatch(/closed|ECONNRESET|lost/i);
});

test('a client that takes nothing of what the proxy itself answers is not listened to any more, and cut off', async () => {
  await using proxy = await ProxyHarness.start({
    source: server,
    target: server,
    proxy: { clientStallTimeoutMs: 500 },
  });
  await using stuck = await client(proxy.port);
  const count = 300_000;
  const command = framePacket(Buffer.concat([Buffer.of(COMMAND.INIT_DB), Buffer.from('app@replica')]), 0);
  socketOf(stuck).pause();
  socketOf(stuck).write(Buffer.alloc(count * command.length, command));
  await expect.poll(async () => proxy.sessions(), { timeout: 20_000 }).toEqual([]);
  const metrics = await proxy.metrics();
  expect(metrics).toMatch(refused('slow reader'));
  const [, answered] = /reason="unsupported command"\} (\d+)/.exec(metrics) ?? [];
  // As many as the kernel has taken the answers of.
  expect(Number(answered)).toBeLessThan(count);
});

test('a client that vanishes without a word: its session ends, and what it had locked is free', async ({ skip }) => {
  await using machine = await OtherMachine.start();
  if (machine === null) return skip('another network needs root');
  await using proxy = await ProxyHarness.start({
    source: server,
    target: server,
    proxy: { listen: '0.0.0.0:0', keepAliveMs: 1000 },
  });
  await using root = await direct(server);
  await root.query('INSERT INTO app.t (id, n) VALUES (4711, 1)');
  await machine.run(`
    import mysql from ${JSON.stringify(import.meta.resolve('mysql2/promise'))};
    const connection = await mysql.createConnection({
      host: '${machine.ourAddress}', port: ${proxy.port}, user: 'app', password: 'app-password', database: 'app' });
    await connection.query('BEGIN');
    await connection.query('SELECT * FROM t WHERE id = 4711 FOR UPDATE');
    console.log('ready');
    setInterval(() => {}, 1000);
  `);
  const take = 'SELECT n FROM app.t WHERE id = 4711 FOR UPDATE NOWAIT';
  expect(await errorOf(root.query(take))).toMatchObject({ errno: 3572 });
  // Keep-alive is for connections on which nothing is under way; the last answer is acknowledged a moment later than it is read.
  await expect.poll(async () => machine.unacknowledged(proxy.port)).toEqual(['0']);
  await machine.pullThePlug();
  await expect.poll(async () => proxy.sessions(), { timeout: 60_000 }).toEqual([]);
  await expect.poll(async () => rowsOf(root, take).catch(() => [])).toEqual([{ n: 1 }]);
});
