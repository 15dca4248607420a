import { afterAll, beforeAll, expect, test } from 'vitest';
import { serverSchema, type ServerDefinition } from '../../engine/api.ts';
import type { ReplicationOptions } from '../../engine/replication/replication-options.ts';
import { Replication } from '../../engine/replication/replication.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import { executedPosition } from '../../engine/server/position.ts';
import { createSidecar, ProgressRow } from '../../engine/sidecar.ts';
import { StrayWatch } from '../../engine/stray/stray-watch.ts';
import { WriteBack } from '../../engine/write-back/write-back.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { AppError } from '../../core/errors.ts';

let pair: Awaited<ReturnType<typeof startServerPair>>;
let source: ServerConnection;
let target: ServerConnection;

function definitionOf(server: RunningServer): ServerDefinition {
  return serverSchema.parse({
    host: '127.0.0.1',
    port: server.port,
    user: server.adminUser,
    password: server.adminPassword,
  });
}

beforeAll(async () => {
  pair = await startServerPair();
  source = await ServerConnection.open(definitionOf(pair.source));
  target = await ServerConnection.open(definitionOf(pair.target));
  for (const connection of [source, target]) {
    await createSidecar(connection);
    await connection.write('CREATE DATABASE shop');
  }
});

afterAll(async () => {
  await source?.close();
  await target?.close();
  await pair?.[Symbol.asyncDispose]();
});

async function follow(name: string, options: Partial<ReplicationOptions> = {}) {
  const origin = options.direction === 'reverse' ? source : target;
  const from = origin === target ? source : target;
  await new ProgressRow(name, options.direction ?? 'forward').reset(
    origin,
    (await executedPosition(from, 'mysql')).toString(),
  );
  const controller = new AbortController();
  const start = () =>
    new Replication(
      {
        importId: name,
        direction: 'forward',
        origin: from.server,
        destination: origin.server,
        flavor: 'mysql',
        database: 'shop',
        loadTables: async () => {
          await using connection = await ServerConnection.open(from.server);
          return await inspectTables(connection, 'shop', 'all');
        },
        onDdl: async ({ ddl }) => {
          throw new AppError('DDL_STOPPED', ddl.sql);
        },
        ...options,
      },
      controller.signal,
    );
  return { start, stop: () => controller.abort() };
}

async function makeTable(ddl: string): Promise<void> {
  await source.write(ddl);
  await target.write(ddl);
}

async function caughtUp(replication: Replication): Promise<void> {
  await replication.waitFor(await executedPosition(source, 'mysql'), AbortSignal.timeout(30_000));
}

test('transactions of the source arrive whole and in order, and both directions do not loop (I7)', async () => {
  await makeTable('CREATE TABLE shop.a (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(100), u INT UNIQUE)');
  const forward = await follow('a');
  const reverse = await follow('a', { direction: 'reverse' });
  const there = forward.start();
  const back = reverse.start();
  for (let i = 0; i < 200; i += 1) {
    await source.write('BEGIN');
    await source.write(`INSERT INTO shop.a (v, u) VALUES ('row ${i}', ${i})`);
    if (i % 3 === 0) await source.write(`UPDATE shop.a SET v = CONCAT(v, '!') WHERE u < ${i} ORDER BY id DESC LIMIT 2`);
    if (i % 7 === 0) await source.write(`DELETE FROM shop.a WHERE u = ${i - 5}`);
    await source.write('COMMIT');
  }
  await caughtUp(there);
  await back.waitFor(await executedPosition(target, 'mysql'), AbortSignal.timeout(30_000));
  expect(await target.rows('SELECT * FROM shop.a ORDER BY id')).toEqual(
    await source.rows('SELECT * FROM shop.a ORDER BY id'),
  );
  expect(back.view().rowChangesApplied).toBe(0);
  await target.write("INSERT INTO shop.a VALUES (9999, 'from the target', 9999)");
  await back.waitFor(await executedPosition(target, 'mysql'), AbortSignal.timeout(30_000));
  expect(await source.rows('SELECT v FROM shop.a WHERE id = 9999')).toEqual([['from the target']]);
  await caughtUp(there);
  expect(there.view().rowChangesApplied).toBeGreaterThan(200);
  forward.stop();
  reverse.stop();
  await Promise.all([there.done, back.done]);
});

test('goes on by itself after both servers cut its connections, and loses nothing', async () => {
  await makeTable('CREATE TABLE shop.b (id INT PRIMARY KEY, v INT)');
  const retries: string[] = [];
  const { start, stop } = await follow('b', { onRetry: (error) => retries.push(error.code) });
  const replication = start();
  for (let i = 0; i < 300; i += 1) {
    await source.write(`INSERT INTO shop.b VALUES (${i}, ${i})`);
    if (i === 100) await killOthers(source);
    if (i === 200) await killOthers(target);
  }
  await caughtUp(replication);
  expect(await target.rows('SELECT COUNT(*), SUM(v) FROM shop.b')).toEqual(
    await source.rows('SELECT COUNT(*), SUM(v) FROM shop.b'),
  );
  expect(retries).toContain('SERVER_GONE');
  stop();
  await replication.done;
});

/** Every session of ours but the one that asks, the binlog dump included. */
async function killOthers(connection: ServerConnection): Promise<void> {
  const rows = await connection.rows(
    "SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND USER NOT IN ('event_scheduler', 'system user')",
  );
  for (const [id] of rows) await connection.write(`KILL ${id}`).catch(() => {});
}

test('a position is told as applied only after its commit (I3)', async () => {
  await makeTable('CREATE TABLE shop.c (id INT PRIMARY KEY, v INT)');
  const { start, stop } = await follow('c');
  const replication = start();
  await source.write('INSERT INTO shop.c VALUES (1, 0)');
  await caughtUp(replication);
  // A lock on the row holds the apply back: the position must not move although the transaction was received.
  await using blocker = await ServerConnection.open(target.server);
  await blocker.write('BEGIN');
  await blocker.write('UPDATE shop.c SET v = 5 WHERE id = 1');
  await source.write('UPDATE shop.c SET v = 1 WHERE id = 1');
  const position = await executedPosition(source, 'mysql');
  await expect(replication.waitFor(position, AbortSignal.timeout(500))).rejects.toThrow();
  await blocker.write('ROLLBACK');
  await replication.waitFor(position, AbortSignal.timeout(30_000));
  expect(await target.rows('SELECT v FROM shop.c')).toEqual([['1']]);
  stop();
  await replication.done;
});

test('what is prepared and never ends holds up nobody who waits for a position, and is not lost when it does end', async () => {
  await makeTable('CREATE TABLE shop.x (id INT PRIMARY KEY, v INT)');
  const { start, stop } = await follow('x', { onRetry: () => {} });
  const replication = start();
  await using writer = await ServerConnection.open(source.server);
  for (const sql of ["XA START 'x'", 'INSERT INTO shop.x VALUES (1, 1)', "XA END 'x'", "XA PREPARE 'x'"])
    await writer.write(sql);
  // Whoever waited before it was prepared hears of it, too.
  await caughtUp(replication);
  await source.write('INSERT INTO shop.x VALUES (2, 2)');
  await caughtUp(replication);
  expect(await target.rows('SELECT id FROM shop.x')).toEqual([['2']]);
  // The position that is kept has it to come.
  await killOthers(target);
  await caughtUp(replication);
  await writer.write("XA COMMIT 'x'");
  await caughtUp(replication);
  expect(await target.rows('SELECT id FROM shop.x ORDER BY id')).toEqual([['1'], ['2']]);
  stop();
  await replication.done;
});

test('what a tester has prepared holds up nobody who waits for the write-back, and is brought when it ends', async () => {
  await makeTable('CREATE TABLE shop.back (id INT PRIMARY KEY, v INT)');
  await new ProgressRow('back', 'reverse').reset(source, (await executedPosition(target, 'mysql')).toString());
  const options = {
    importId: 'back',
    target: target.server,
    source: source.server,
    flavor: 'mysql',
    database: 'shop',
    tables: () => ['back'],
    allTables: false,
    ddlDecisionOn: () => undefined,
    mayBegin: async () => {},
    onTouched: () => {},
    onChanged: () => {},
    onRetry: () => {},
    log: () => {},
  } as const;
  const controller = new AbortController();
  const writeBack = new WriteBack(options, controller.signal);
  const judged = async () =>
    await writeBack.waitFor(await executedPosition(target, 'mysql'), AbortSignal.timeout(30_000));
  await using tester = await ServerConnection.open(target.server);
  for (const sql of ["XA START 'back'", 'INSERT INTO shop.back VALUES (1, 1)', "XA END 'back'", "XA PREPARE 'back'"])
    await tester.write(sql);
  await judged();
  await target.write('INSERT INTO shop.back VALUES (2, 2)');
  await judged();
  expect(await source.rows('SELECT id FROM shop.back')).toEqual([['2']]);
  await tester.write("XA COMMIT 'back'");
  await judged();
  expect(await source.rows('SELECT id FROM shop.back ORDER BY id')).toEqual([['1'], ['2']]);
  controller.abort();
  await writeBack.done;
});

test('DDL on an imported table stops the stream at its place', async () => {
  await makeTable('CREATE TABLE shop.d (id INT PRIMARY KEY)');
  const { start } = await follow('d');
  const replication = start();
  await source.write('INSERT INTO shop.d VALUES (1)');
  await caughtUp(replication);
  await source.write('ALTER TABLE shop.d ADD COLUMN w INT DEFAULT 7');
  await source.write('INSERT INTO shop.d VALUES (2, 3)');
  await expect(replication.done).rejects.toMatchObject({
    code: 'DDL_STOPPED',
    message: expect.stringContaining('ADD COLUMN w'),
  });
  expect(await target.rows('SELECT * FROM shop.d')).toEqual([['1']]);
  // The operator makes the change on the target, then the stream goes on behind the statement.
  await target.write('ALTER TABLE shop.d ADD COLUMN w INT DEFAULT 7');
  const resumed = await followAgain('d');
  await caughtUp(resumed.replication);
  expect(await target.rows('SELECT * FROM shop.d ORDER BY id')).toEqual([
    ['1', '7'],
    ['2', '3'],
  ]);
  resumed.stop();
  await resumed.replication.done;
});

test('a stray watch that is waited for while it begins has seen what there is, though nothing comes any more', async () => {
  await makeTable('CREATE TABLE shop.w (id INT PRIMARY KEY)');
  const position = await executedPosition(source, 'mysql');
  await new ProgressRow('watched', 'forward').reset(target, position.toString());
  const watch = watchStrays('watched', []);
  await watch.waitFor(position, AbortSignal.timeout(30_000));
  await watch.stop();
});

test('a stray watch keeps the DROP of a table that is gone when it begins', async () => {
  await makeTable('CREATE TABLE shop.gone (id INT PRIMARY KEY)');
  await new ProgressRow('dropped', 'forward').reset(target, (await executedPosition(source, 'mysql')).toString());
  await source.write('DROP TABLE shop.gone');
  const watch = watchStrays('dropped', ['gone']);
  await watch.waitFor(await executedPosition(source, 'mysql'), AbortSignal.timeout(30_000));
  expect(watch.view()).toMatchObject({ count: 1, watch: 'watching' });
  await watch.stop();
});

function watchStrays(importId: string, tableNames: string[]): StrayWatch {
  return new StrayWatch(
    {
      importId,
      direction: 'forward',
      oldPrimary: source.server,
      newPrimary: target.server,
      flavor: 'mysql',
      database: 'shop',
      allTables: false,
      tableNames,
      isOwnImport: (id) => id === importId,
      loadTables: async () => {
        await using connection = await ServerConnection.open(source.server);
        return await inspectTables(connection, 'shop', 'all');
      },
      log: () => {},
      mayBegin: async () => {},
      onDiverged: async () => {},
      onUnwatched: async () => {},
      onChanged: () => {},
    },
    new AbortController().signal,
  );
}

/** From the durable position, skipping DDL. */
async function followAgain(name: string) {
  const controller = new AbortController();
  const replication = new Replication(
    {
      importId: name,
      direction: 'forward',
      origin: source.server,
      destination: target.server,
      flavor: 'mysql',
      database: 'shop',
      loadTables: () => inspectTables(source, 'shop', 'all'),
      onDdl: async () => 'skipped',
    },
    controller.signal,
  );
  return { replication, stop: () => controller.abort() };
}

/** What stands in the way between `begin` and `end` is told as `code`, and everything is applied afterwards. */
async function triedAgain(
  code: string,
  name: string,
  { begin, end }: Record<'begin' | 'end', () => Promise<unknown>>,
): Promise<void> {
  const heard = Promise.withResolvers<string>();
  const { start, stop } = await follow(name, { onRetry: (error) => heard.resolve(error.code) });
  await begin();
  const replication = start();
  try {
    await source.write(`INSERT INTO shop.${name} VALUES (1)`);
    expect(await Promise.race([heard.promise, replication.done])).toBe(code);
    await end();
    await caughtUp(replication);
    expect(await target.rows(`SELECT id FROM shop.${name}`)).toEqual([['1']]);
  } finally {
    stop();
    await replication.done.catch(() => {});
  }
}

test('locks that somebody holds for longer than is waited for are no reason to stop', async () => {
  await makeTable('CREATE TABLE shop.locked (id INT PRIMARY KEY)');
  await using other = await ServerConnection.open(target.server);
  const begin = async () => {
    await other.write('BEGIN');
    await other.write('INSERT INTO shop.locked VALUES (1)');
  };
  await triedAgain('APPLY_LOCKED_OUT', 'locked', { begin, end: () => other.write('ROLLBACK') });
});

test('a destination that is read-only for a while (a failover) is no reason to stop', async () => {
  await makeTable('CREATE TABLE shop.read_only (id INT PRIMARY KEY)');
  const end = () => target.write('SET GLOBAL read_only = OFF');
  const begin = () => target.write('SET GLOBAL super_read_only = ON');
  try {
    await triedAgain('SERVER_READ_ONLY', 'read_only', { begin, end });
  } finally {
    await end();
  }
});
