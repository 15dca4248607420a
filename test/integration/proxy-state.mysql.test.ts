import type { Socket } from 'node:net';
import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseErr } from '../../core/wire/err-packet.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { client, createAppSchema, direct, errorOf, rowsOf } from '../support/proxy-clients.ts';
import { MessageStream } from '../../proxy/message-stream.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';
import { SESSION_STATES, outcome } from '../support/session-states.ts';
import { TcpRelay } from '../support/tcp-relay.ts';

let servers: Awaited<ReturnType<typeof startServerPair>>;
let source: RunningServer;
let target: RunningServer;
let proxy: ProxyHarness;

beforeAll(async () => {
  servers = await startServerPair();
  ({ source, target } = servers);
  for (const server of [source, target]) {
    await createAppSchema(server);
    await using root = await direct(server);
    await root.query('INSERT INTO app.whoami VALUES (?)', ['app']);
    await root.query('INSERT INTO other.whoami VALUES (?)', ['other']);
    await root.query(`CREATE ROLE reader`);
    await root.query(`GRANT reader TO app@'%'`);
    await root.query(`GRANT BACKUP_ADMIN, RELOAD, SESSION_VARIABLES_ADMIN ON *.* TO app@'%'`);
  }
  proxy = await ProxyHarness.start({ source, target });
});

afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await servers?.[Symbol.asyncDispose]();
});

for (const way of ['prepared ahead', 'at the switch', 'over the replica endpoint'] as const) {
  describe(`a moved session is like one that never moved, ${way}`, () => {
    const moved: Connection[] = [];
    const stayed: Connection[] = [];

    beforeAll(async () => {
      for (const { setUp, options } of SESSION_STATES) {
        moved.push(await client(way === 'over the replica endpoint' ? proxy.replicaPort : proxy.port, options));
        stayed.push(await client(target.port, options));
        for (const sql of setUp) {
          await outcome(moved.at(-1) as Connection, sql);
          await outcome(stayed.at(-1) as Connection, sql);
        }
      }
      if (way === 'prepared ahead') expect((await proxy.prepare('primary', 'target')).failures).toEqual([]);
      // For a while its writes are refused there.
      if (way === 'over the replica endpoint') await proxy.switchReplicasTo('target');
      await proxy.switchTo('target', { prepare: false });
    });

    afterAll(async () => {
      for (const connection of [...moved, ...stayed]) connection.destroy();
      await proxy.switchTo('source');
      await proxy.switchReplicasTo('source');
    });

    for (const [index, { name, probe }] of SESSION_STATES.entries()) {
      test(name, async () => {
        for (const sql of probe) {
          const expected = await outcome(stayed[index] as Connection, sql);
          expect([sql, await outcome(moved[index] as Connection, sql)]).toEqual([sql, expected]);
        }
        await using root = await direct(target);
        await root.query('DELETE FROM app.t');
      });
    }

    test('every one of them was served by the target in the end', async () => {
      const left = (await proxy.sessions()).filter(({ side, state }) => side === 'source' && state !== 'closing');
      expect(left).toEqual([]);
    });
  });
}

describe('what pins a session', () => {
  /** What takes the pin, the reason shown, and what releases it. */
  const PINS: [string[], string, string[]][] = [
    [['CREATE TEMPORARY TABLE scratch (a INT)'], 'temporary table app.scratch', ['DROP TABLE app.scratch']],
    [
      ['CREATE TEMPORARY TABLE other.scratch (a INT)', 'CREATE TEMPORARY TABLE IF NOT EXISTS other.scratch (a INT)'],
      'temporary table other.scratch',
      ['DROP TABLE IF EXISTS scratch', 'USE other', 'DROP TEMPORARY TABLE scratch'],
    ],
    [[`SELECT GET_LOCK('mine', 1)`, `SELECT GET_LOCK('mine', 1)`], 'user lock mine', [`DO RELEASE_ALL_LOCKS()`]],
    [['LOCK TABLES whoami READ'], 'LOCK TABLES', ['UNLOCK TABLES']],
    [['LOCK TABLES whoami READ'], 'LOCK TABLES', ['START TRANSACTION', 'COMMIT']],
    [['FLUSH TABLES t WITH READ LOCK'], 'FLUSH TABLES WITH READ LOCK', ['UNLOCK TABLES']],
    [['HANDLER whoami OPEN AS h', 'HANDLER h READ FIRST'], 'HANDLER h', ['HANDLER h CLOSE']],
    [[`XA START 'a'`, `XA END 'a'`], 'XA transaction', [`XA ROLLBACK 'a'`]],
    [['SET autocommit = 0', 'SELECT * FROM whoami'], 'open transaction', ['ROLLBACK']],
    [
      [`SET @sql = 'CREATE TEMPORARY TABLE made (a INT)'`, 'PREPARE s FROM @sql', 'EXECUTE s'],
      'temporary table app.made',
      ['DROP TABLE made'],
    ],
  ];

  test('each is named, holds the drain back, and is gone with its reason', async () => {
    await using stack = new AsyncDisposableStack();
    const connections: Connection[] = [];
    for (const [take] of PINS) {
      const connection = stack.use(await client(proxy.port));
      for (const sql of take) await connection.query(sql);
      connections.push(connection);
    }
    const epoch = proxy.push({ hold: 'primary', deadlineMs: Date.now() + 60_000 });
    const ack = await proxy.acknowledged(epoch);
    expect(ack.undrained.flatMap(({ reasons }) => reasons.slice(-1)).sort()).toEqual(
      PINS.map(([, reason]) => reason).sort(),
    );
    for (const [index, [, , release]] of PINS.entries()) {
      for (const sql of release) await (connections[index] as Connection).query(sql);
    }
    await proxy.acknowledged(epoch, 'drained');
    proxy.push({ hold: 'none', deadlineMs: null });
  });

  test('the global read lock, which the begin of a transaction leaves in place, and the lock for backups', async () => {
    await using connection = await client(proxy.port);
    await connection.query('FLUSH TABLES WITH READ LOCK');
    await connection.query('BEGIN');
    await connection.query('COMMIT');
    expect((await proxy.sessions())[0]?.pins).toEqual(['FLUSH TABLES WITH READ LOCK']);
    await connection.query('UNLOCK TABLES');
    expect((await proxy.sessions())[0]?.pins).toEqual([]);
    await connection.query('LOCK INSTANCE FOR BACKUP');
    expect((await proxy.sessions())[0]?.pins).toEqual(['LOCK INSTANCE']);
    await connection.query('UNLOCK INSTANCE');
    expect((await proxy.sessions())[0]?.pins).toEqual([]);
  });
});

describe('KILL', () => {
  const isSleeping = async (server: RunningServer) => {
    await using root = await direct(server);
    const rows = await rowsOf(
      root,
      `SELECT COUNT(*) AS n FROM performance_schema.processlist WHERE info LIKE 'SELECT SLEEP%'`,
    );
    return rows[0]?.['n'] === 1;
  };

  test('by the id of the greeting, from another worker, before and after a move', async () => {
    await using other = await ProxyHarness.start({ source, target });
    await using killer = await client(other.port);
    await using victim = await client(proxy.port);
    for (const side of ['source', 'target'] as const) {
      if (side === 'target') await proxy.switchTo('target');
      const sleeping = rowsOf(victim, 'SELECT SLEEP(60) AS interrupted');
      await expect.poll(async () => isSleeping(side === 'source' ? source : target)).toBe(true);
      await killer.query(`KILL QUERY ${victim.threadId}`);
      expect(await sleeping).toEqual([{ interrupted: 1 }]);
    }
    const lost = errorOf(victim.query('SELECT SLEEP(60)'));
    await expect.poll(async () => isSleeping(target)).toBe(true);
    await killer.query(`/* away */ kill connection ${victim.threadId};`);
    expect((await lost).message).toMatch(/lost|closed/i);
    expect(await errorOf(killer.query(`KILL ${victim.threadId}`))).toMatchObject({ errno: 1094 });
    await proxy.switchTo('source');
  });

  test('of a session that moves while the KILL is on its way', async () => {
    await using relay = await TcpRelay.start(source);
    await using other = await ProxyHarness.start({ source: relay, target });
    await using killer = await client(other.port);
    await using victim = await client(proxy.port);
    relay.stall();
    const killed = killer.query(`KILL QUERY ${victim.threadId}`);
    await expect.poll(async () => (await other.sessions())[0]?.state).toBe('moving');
    await proxy.switchTo('target');
    const sleeping = rowsOf(victim, 'SELECT SLEEP(60) AS interrupted');
    await expect.poll(async () => isSleeping(target)).toBe(true);
    relay.forward();
    await killed;
    expect(await sleeping).toEqual([{ interrupted: 1 }]);
    await proxy.switchTo('source');
  });

  test('of what is held: the command that waits is interrupted, the session ends', async () => {
    await using other = await ProxyHarness.start({ source, target });
    await using killer = await client(other.port);
    await using idle = await client(proxy.port);
    await using victim = await client(proxy.port);
    const statement = await victim.prepare('SELECT 2 AS two');
    await proxy.acknowledged(proxy.push({ hold: 'primary', deadlineMs: Date.now() + 60_000 }), 'drained');
    const ended = errorOf(new Promise((_resolve, reject) => idle.once('error', reject)));
    await killer.query(`KILL ${idle.threadId}`);
    expect((await ended).message).toContain('it was killed');
    const interrupted = [errorOf(victim.query('SELECT 1')), errorOf(statement.execute([]))];
    const next = rowsOf(victim, 'SELECT 3 AS three');
    for (const error of interrupted) {
      await expect.poll(async () => proxy.metrics()).toMatch(/held_sessions 1\b/);
      await killer.query(`KILL QUERY ${victim.threadId}`);
      expect(await error).toMatchObject({ errno: 1317, sqlState: '70100' });
    }
    proxy.push({ hold: 'none', deadlineMs: null });
    expect(await next).toEqual([{ three: 3 }]);
    expect((await statement.execute([]))[0]).toEqual([{ two: 2 }]);
  });

  test('by what CONNECTION_ID() answered before a move, and by what it answers after it', async () => {
    await using victim = await client(proxy.port);
    await using killer = await client(proxy.port);
    const before = (await rowsOf(victim, 'SELECT CONNECTION_ID() AS id'))[0]?.['id'];
    await proxy.switchTo('target');
    const after = (await rowsOf(victim, 'SELECT CONNECTION_ID() AS id'))[0]?.['id'];
    for (const id of [after, before]) {
      const sleeping = rowsOf(victim, 'SELECT SLEEP(60) AS interrupted');
      await expect.poll(async () => isSleeping(target)).toBe(true);
      await killer.query(`KILL QUERY ${id}`);
      expect(await sleeping).toEqual([{ interrupted: 1 }]);
    }
    await proxy.switchTo('source');
  });

  test('COM_PROCESS_KILL, and ids that nobody has', async () => {
    await using victim = await client(proxy.port);
    await using killer = await client(proxy.port);
    const { stream } = (killer as unknown as { connection: { stream: Socket } }).connection;
    stream.removeAllListeners('data');
    const raw = new MessageStream(stream, { maxBytes: 1000 });
    const kill = async (id: number) => {
      const command = Buffer.alloc(5, 0x0c);
      command.writeUInt32LE(id, 1);
      raw.writeCommand(command);
      return raw.next();
    };
    const lost = errorOf(victim.query('SELECT SLEEP(60)'));
    await expect.poll(async () => isSleeping(source)).toBe(true);
    expect((await kill(victim.threadId ?? 0))[0]).toBe(0);
    expect((await lost).message).toMatch(/lost|closed/i);
    for (const id of [victim.threadId ?? 0, 0x7fff_ffff, 12_345_678]) {
      expect(parseErr(await kill(id)).code).toBe(1094);
    }
  });
});
