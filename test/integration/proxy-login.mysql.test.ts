import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { client, createAppSchema, direct, errorOf, rowsOf } from '../support/proxy-clients.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';
import { TcpRelay } from '../support/tcp-relay.ts';

/** MariaDB as the source, since it still has mysql_native_password, and plugins of its own. */
let servers: Awaited<ReturnType<typeof startServerPair>>;
let source: RunningServer;
let target: RunningServer;
let proxy: ProxyHarness;

beforeAll(async () => {
  servers = await startServerPair('mariadb-11.8', 'mysql-9.7');
  ({ source, target } = servers);
  for (const server of [source, target]) await createAppSchema(server);
  await using old = await direct(source);
  await using recent = await direct(target);
  for (const sql of [
    `CREATE USER old_shop@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('old')`,
    `GRANT ALL ON app.* TO old_shop@'%'`,
    `CREATE USER legacy@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('legacy')`,
    `GRANT ALL ON app.* TO legacy@'%'`,
  ]) {
    await old.query(sql);
  }
  await recent.query(`CREATE USER new_shop@'%' IDENTIFIED BY 'new'`);
  await recent.query(`GRANT ALL ON app.* TO new_shop@'%'`);
  proxy = await ProxyHarness.start({
    source,
    target,
    proxy: {
      users: [
        {
          name: 'shop',
          password: 'known to the proxy',
          source: { user: 'old_shop', password: 'old' },
          target: { user: 'new_shop', password: 'new' },
        },
      ],
      relayedUsers: ['legacy'],
      maxFailedLogins: 1000,
    },
  });
});

afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await servers?.[Symbol.asyncDispose]();
});

const SHOP = { user: 'shop', password: 'known to the proxy' };

test('a listed user has an account of its own on each side, and may prove its password with either plugin', async () => {
  await using connection = await client(proxy.port, SHOP);
  await using secure = await client(proxy.port, { ...SHOP, ssl: { rejectUnauthorized: false } });
  expect(await rowsOf(secure, 'SELECT CURRENT_USER() AS user')).toEqual([{ user: 'old_shop@%' }]);
  await connection.query('SET @x = 1');
  await proxy.switchTo('target');
  expect(await rowsOf(connection, 'SELECT CURRENT_USER() AS user, @x AS x')).toEqual([{ user: 'new_shop@%', x: 1 }]);
  await connection.changeUser({ ...SHOP, database: 'app' });
  expect(await rowsOf(connection, 'SELECT CURRENT_USER() AS user, @x AS x')).toEqual([{ user: 'new_shop@%', x: null }]);
  await proxy.switchTo('source');
  expect(await errorOf(client(proxy.port, { ...SHOP, password: 'wrong' }))).toMatchObject({ errno: 1045 });
  expect(await errorOf(client(proxy.port, { ...SHOP, password: '' }))).toMatchObject({ errno: 1045 });
  // The accounts themselves are not listed: the server decides.
  await using other = await client(proxy.port, { user: 'old_shop', password: 'old' });
  expect(await rowsOf(other, 'SELECT CURRENT_USER() AS user')).toEqual([{ user: 'old_shop@%' }]);
});

test('a relayed login works without the proxy knowing the password; the session is named and cannot move', async () => {
  expect(await errorOf(client(proxy.port, { user: 'legacy', password: 'wrong' }))).toMatchObject({ errno: 1045 });
  await using connection = await client(proxy.port, { user: 'legacy', password: 'legacy' });
  expect(await rowsOf(connection, 'SELECT CURRENT_USER() AS user')).toEqual([{ user: 'legacy@%' }]);
  const pins = ['its login was relayed (mysql_native_password)'];
  await connection.reset();
  const report = await proxy.prepare('primary', 'target');
  expect(report.pinned).toMatchObject([{ user: 'legacy', reasons: pins }]);
  expect(report.failures).toMatchObject([{ user: 'legacy', reason: expect.stringContaining('relayedUsers') }]);
  const { promise, resolve } = Promise.withResolvers<Error>();
  connection.on('error', resolve);
  proxy.push({ primary: 'target' });
  expect((await promise).message).toMatch(/could not be carried over: its login was relayed|closed/);
  // No such account there, and no plugin.
  expect(await errorOf(client(proxy.port, { user: 'legacy', password: 'legacy' }))).toMatchObject({
    errno: expect.toBeOneOf([1045, 1251]),
  });
  await proxy.switchTo('source');
});

test('a relayed login that takes until within a hold ends: its session could not be held, and would run what no switch waits for', async () => {
  await using relay = await TcpRelay.start(source);
  await using slow = await ProxyHarness.start({ source: relay, target, proxy: { relayedUsers: ['legacy'] } });
  // The first one has the server's version asked for.
  await using first = await client(slow.port);
  const { accepted } = relay;
  relay.stall();
  const connecting = client(slow.port, { user: 'legacy', password: 'legacy' });
  await expect.poll(() => relay.accepted).toBeGreaterThan(accepted);
  await slow.acknowledged(slow.push({ hold: 'primary', deadlineMs: Date.now() + 60_000 }), 'drained');
  await slow.acknowledged(slow.push({ fenced: true }), 'drained');
  relay.forward();
  const told = await errorOf(connecting.then(async (connection) => connection.query('SELECT 1')));
  expect(told.message).toMatch(/could not be carried over: its login was relayed|closed/);
  slow.push({ hold: 'none', fenced: false });
  await first.query('DO 1');
});

describe('the plugins of MariaDB on its side', () => {
  test.for([
    ['ed25519', 'auth_ed25519'],
    ['parsec', 'auth_parsec'],
  ] as const)('%s', async ([plugin, library], context) => {
    await using root = await direct(source);
    // Debian's core package is without them.
    const installed = await root.query(`INSTALL SONAME '${library}'`).then(
      () => true,
      () => false,
    );
    context.skip(!installed, `this server has no ${library}`);
    for (const [user, password] of [
      [`${plugin}_one`, 'secret'],
      [`${plugin}_two`, 'longer than thirty-two bytes, and beyond ASCII: grüße'],
    ] as const) {
      await root.query(`CREATE USER ${user}@'%' IDENTIFIED VIA ${plugin} USING PASSWORD(?)`, [password]);
      await using connection = await client(proxy.port, { user, password, database: '' });
      expect(await rowsOf(connection, 'SELECT CURRENT_USER() AS user')).toEqual([{ user: `${user}@%` }]);
      expect(await errorOf(client(proxy.port, { user, password: 'wrong', database: '' }))).toMatchObject({
        errno: 1045,
      });
    }
  });
});

test('right after a change of the password only the new one is let in, though the old one was remembered', async () => {
  await using root = await direct(source);
  await root.query(`CREATE USER changing@'%' IDENTIFIED BY 'one'`);
  const login = async (password: string) => {
    await using connection = await client(proxy.port, { user: 'changing', password, database: '' });
    // Awaited here: the connection ends with this function.
    return await rowsOf(connection, 'SELECT 1 AS ok');
  };
  await login('one');
  await login('one');
  await root.query(`SET PASSWORD FOR changing@'%' = PASSWORD('two')`);
  expect(await errorOf(login('one'))).toMatchObject({ errno: 1045 });
  expect(await login('two')).toEqual([{ ok: 1 }]);
  expect(await login('two')).toEqual([{ ok: 1 }]);
  expect(await errorOf(login('one'))).toMatchObject({ errno: 1045 });
});

test('failed logins are limited by address', async () => {
  await using strict = await ProxyHarness.start({ source, target, proxy: { maxFailedLogins: 3 } });
  for (let count = 0; count < 3; count += 1) {
    expect(await errorOf(client(strict.port, { password: 'wrong' }))).toMatchObject({ errno: 1045 });
  }
  expect(await errorOf(client(strict.port))).toMatchObject({ errno: 1129 });
});
