import mysql from 'mysql2/promise';
import { expect, test } from 'vitest';
import type { RunningServer } from '../../servers/running-server.ts';
import { connect, rows } from '../support/query.ts';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';

test('accounts come along with the copy, and back; who is missing is named before the switch; no hash is shown unasked', async () => {
  await using rehearsal = await Rehearsal.start({ rows: 500 });
  const { source, target, switchyard } = rehearsal;
  const { client } = switchyard;
  for (const side of [source, target]) await on(side, "GRANT ALL ON shop.* TO switchyard@'%' WITH GRANT OPTION");
  await on(source, 'CREATE FUNCTION shop.twice (n INT) RETURNS INT DETERMINISTIC RETURN n * 2');
  await on(source, "CREATE USER night@'%' IDENTIFIED BY 'night-1'; GRANT SELECT ON shop.* TO night@'%'");
  await on(source, "GRANT EXECUTE ON FUNCTION shop.twice TO night@'%'");
  await client.createImport(rehearsal.request({ options: { users: 'create' } }));
  await rehearsal.reach('running');
  const as = async (port: number, user: string, password: string, sql: string) => {
    const connection = await mysql.createConnection({ host: '127.0.0.1', port, user, password });
    try {
      return await rows(connection, sql);
    } finally {
      connection.destroy();
    }
  };
  expect(
    await as(target.port, 'night', 'night-1', 'SELECT shop.twice(COUNT(*)) AS n FROM shop.orders WHERE 0'),
  ).toEqual([{ n: 0 }]);
  expect((await client.users(IMPORT)).users.map(({ account, state }) => [account, state])).toEqual([
    ["'night'@'%'", 'same'],
    // The definer of the function.
    ["'root'@'%'", 'same'],
    ["'shop'@'%'", 'same'],
  ]);

  // Since then, and one that is not connected.
  await on(source, "CREATE USER late@'%' IDENTIFIED BY 'late-1'; GRANT SELECT ON shop.* TO late@'%'");
  const dryRun = await client.switchTraffic(IMPORT, { kind: 'primaries', dryRun: true });
  expect(dryRun.warnings).toContainEqual(expect.stringMatching(/^USER_ABSENT: .*'late'@'%'.*switchyard users shop/));
  // One that is connected refuses it, as before.
  await using lateSession = await mysql.createConnection({
    host: '127.0.0.1',
    port: switchyard.primaryPort,
    user: 'late',
    password: 'late-1',
  });
  await lateSession.query('SELECT 1');
  await expect(client.switchTraffic(IMPORT, { kind: 'primaries' })).rejects.toMatchObject({
    code: 'SWITCH_REFUSED',
    details: {
      refusals: expect.arrayContaining([
        expect.objectContaining({
          code: 'SESSION_CANNOT_MOVE',
          message: expect.stringContaining('switchyard users shop'),
        }),
      ]),
    },
  });
  const script = await client.usersScript(IMPORT, { hashes: true });
  expect(script).toMatchObject({ hasSecrets: true, script: expect.stringMatching(/AS 0x[0-9A-F]{60}/) });
  expect(await client.createUsers(IMPORT)).toMatchObject({ created: ["'late'@'%'"], refused: [] });
  await client.switchTraffic(IMPORT, { kind: 'primaries' });
  expect(await rows(lateSession, 'SELECT @@port AS port')).toEqual([{ port: target.port }]);

  // The way back: the same with the sides exchanged.
  await on(target, "CREATE USER newcomer@'%' IDENTIFIED BY 'new-1'; GRANT SELECT ON shop.* TO newcomer@'%'");
  expect(await client.users(IMPORT)).toMatchObject({
    from: 'target',
    to: 'source',
    users: expect.arrayContaining([expect.objectContaining({ account: "'newcomer'@'%'", state: 'absent' })]),
  });
  expect(await client.createUsers(IMPORT)).toMatchObject({ created: ["'newcomer'@'%'"] });
  expect(await as(source.port, 'newcomer', 'new-1', 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  await client.switchTraffic(IMPORT, { kind: 'primaries', back: true });
  expect(await client.getImport(IMPORT)).toMatchObject({
    phase: expect.stringMatching(/running|verified_data/),
    strayWrites: { count: 0 },
  });

  const [stored] = await on(source, "SELECT HEX(authentication_string) AS hash FROM mysql.user WHERE user = 'late'");
  const said = JSON.stringify([
    await client.getImport(IMPORT),
    await client.logs(IMPORT, 1000),
    await client.users(IMPORT),
  ]);
  for (const text of [said, switchyard.log()])
    expect(text.toUpperCase()).not.toContain(String(stored?.['hash']).slice(0, 60));
  await expect(client.usersScript('nope', { hashes: false })).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

/** On a connection of its own, closed at once: one that stays is a writer past the proxy to the switch. */
async function on(server: RunningServer, sql: string) {
  await using connection = await connect(server);
  return await rows(connection, sql);
}
