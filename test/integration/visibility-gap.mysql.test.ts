import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { runCopy } from '../../engine/copy/run-copy.ts';
import { COPY_TABLES } from '../../engine/copy/copy-chunks-table.ts';
import type { ReplicationOptions } from '../../engine/replication/replication-options.ts';
import { Replication } from '../../engine/replication/replication.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import { executedPosition, visiblePosition } from '../../engine/server/position.ts';
import { createSidecar, ProgressRow } from '../../engine/sidecar.ts';
import { readBetween } from '../../engine/verify/source-read.ts';
import { openDestination } from '../../engine/apply/destination-connection.ts';
import { rowKey } from '../../engine/apply/window.ts';
import { ConnectionPair } from '../../engine/verify/connection-pair.ts';
import type { Follower } from '../../engine/verify/follower.ts';
import { repairRows } from '../../engine/verify/repair-rows.ts';
import { REPAIRS_DDL } from '../../engine/verify/repairs-table.ts';
import { runVerify } from '../../engine/verify/run-verify.ts';
import { parsePosition, type Flavor } from '../../core/gtid.ts';
import { startServer, startServerPair } from '../../servers/start-server.ts';
import { definitionOf } from '../support/stream-fixture.ts';
import { pairsOf } from '../support/verify-fixture.ts';

/**
 * A semi-synchronous source gives a transaction to its replicas, waits for their acknowledgement, and only then shows its
 * rows. We read its log as a replica does, so we have the transaction while a SELECT does not. The acknowledgement never
 * comes here, for there is no such replica; the wait ends when the test says so.
 */
const SEMI_SYNC: Record<Flavor, { name: string; setup: string[] }> = {
  mysql: {
    name: 'rpl_semi_sync_source',
    setup: [
      "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'",
      'SET GLOBAL rpl_semi_sync_source_timeout = 120000, GLOBAL rpl_semi_sync_source_wait_no_replica = ON',
    ],
  },
  mariadb: {
    name: 'rpl_semi_sync_master',
    setup: [
      "SET GLOBAL rpl_semi_sync_master_timeout = 120000, GLOBAL rpl_semi_sync_master_wait_no_slave = ON, GLOBAL rpl_semi_sync_master_wait_point = 'AFTER_SYNC'",
    ],
  },
};

let pair: Awaited<ReturnType<typeof startServerPair>>;
let mariadb: Awaited<ReturnType<typeof startServer>>;
let onMariadb: ServerConnection;
let source: ServerConnection;
let target: ServerConnection;
let number = 0;
let schema: string;

beforeAll(async () => {
  [pair, mariadb] = await Promise.all([startServerPair(), startServer({ flavor: 'mariadb-11.8', role: 'source' })]);
  source = await ServerConnection.open(definitionOf(pair.source));
  target = await ServerConnection.open(definitionOf(pair.target));
  await createSidecar(target, COPY_TABLES);
  onMariadb = await ServerConnection.open(definitionOf(mariadb));
  for (const statement of SEMI_SYNC.mysql.setup) await source.write(statement);
  for (const statement of SEMI_SYNC.mariadb.setup) await onMariadb.write(statement);
});

afterAll(async () => {
  await source?.write('SET GLOBAL rpl_semi_sync_source_enabled = OFF').catch(() => {});
  await onMariadb?.write('SET GLOBAL rpl_semi_sync_master_enabled = OFF').catch(() => {});
  for (const connection of [source, onMariadb, target]) await connection?.close();
  await mariadb?.[Symbol.asyncDispose]();
  await pair?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  number += 1;
  schema = `gap${number}`;
  for (const connection of [source, onMariadb, target]) {
    await connection.write(`CREATE DATABASE ${schema}`);
    await connection.write(`CREATE TABLE ${schema}.t (id INT PRIMARY KEY, v INT)`);
  }
  for (const origin of [source, onMariadb]) await origin.write(`INSERT INTO ${schema}.t VALUES (1, 0), (2, 0)`);
});

function originOf(flavor: Flavor): ServerConnection {
  return flavor === 'mysql' ? source : onMariadb;
}

/** The transaction is in the log, and invisible until `acknowledge`. */
async function unacknowledged(flavor: Flavor, sql: string): Promise<{ acknowledge: () => Promise<void> }> {
  const origin = originOf(flavor);
  const { name } = SEMI_SYNC[flavor];
  await origin.write(`SET GLOBAL ${name}_enabled = ON`);
  const writer = await ServerConnection.open(origin.server);
  const written = writer.write(sql);
  await expect
    .poll(async () => {
      const [row] = await origin.rows(`SHOW STATUS LIKE '${name}_wait_sessions'`);
      return row?.[1];
    })
    .toBe('1');
  return {
    acknowledge: async () => {
      await origin.write(`SET GLOBAL ${name}_enabled = OFF`);
      await written;
      await writer.close();
    },
  };
}

function replicate(flavor: Flavor, signal: AbortSignal, more: Partial<ReplicationOptions> = {}): Replication {
  return new Replication(
    {
      importId: schema,
      direction: 'forward',
      origin: originOf(flavor).server,
      destination: target.server,
      flavor,
      database: schema,
      loadTables: () => inspectTables(originOf(flavor), schema, 'all'),
      onDdl: () => Promise.reject(new Error('no DDL was expected')),
      ...more,
    },
    signal,
  );
}

function followerOf(replication: Replication): Follower {
  return {
    get applied() {
      return replication.applied;
    },
    waitFor: (position, signal) => replication.waitFor(position, signal),
    reported: () => replication.reported(),
    onTouched: () => ({ [Symbol.dispose]: () => {} }),
    onDdl: () => ({ [Symbol.dispose]: () => {} }),
  };
}

/** Sessions that have asked more than once what the MySQL source has executed. */
async function waitingForPosition(): Promise<number> {
  const asked =
    "SELECT thread_id FROM performance_schema.events_statements_history WHERE sql_text LIKE '%gtid_executed%' AND thread_id <> PS_CURRENT_THREAD_ID() GROUP BY thread_id HAVING COUNT(*) >= 2";
  const [row] = await source.rows(`SELECT COUNT(*) FROM (${asked}) AS asked`);
  return Number(row?.[0]);
}

async function valuesOf(connection: ServerConnection): Promise<(string | null | undefined)[]> {
  const rows = await connection.rows(`SELECT v FROM ${schema}.t ORDER BY id`);
  return rows.map(([value]) => value);
}

test.each<Flavor>(['mysql', 'mariadb'])(
  'a copy that begins and reads in the gap is completed by the stream: %s',
  async (flavor) => {
    const origin = originOf(flavor);
    const controller = new AbortController();
    const { acknowledge } = await unacknowledged(flavor, `UPDATE ${schema}.t SET v = 1`);
    await new ProgressRow(schema, 'forward').reset(target, (await visiblePosition(origin, flavor)).toString());
    const { stamp } = await runCopy({
      importId: schema,
      source: origin.server,
      target: target.server,
      tables: await inspectTables(origin, schema, 'all'),
      connections: 1,
      signal: controller.signal,
      onProgress: () => {},
    });
    expect(await valuesOf(target)).toEqual(['0', '0']);
    const replication = replicate(flavor, controller.signal);
    await replication.waitFor(parsePosition(flavor, stamp), AbortSignal.timeout(20_000));
    // The stream may have had it already: what counts is that it is not lost.
    await acknowledge();
    await replication.waitFor(await executedPosition(origin, flavor), AbortSignal.timeout(20_000));
    expect(await valuesOf(target)).toEqual(['1', '1']);
    controller.abort();
    await replication.done;
  },
);

test('a child without a parent that the stream has, and the source does not show yet, is not taken for one that is gone', async () => {
  const controller = new AbortController();
  const key = 'FOREIGN KEY (parent) REFERENCES t (id) ON DELETE CASCADE';
  for (const connection of [onMariadb, target])
    await connection.write(`CREATE TABLE ${schema}.child (id INT PRIMARY KEY, parent INT, ${key})`);
  const start = await visiblePosition(onMariadb, 'mariadb');
  const insert = `SET STATEMENT foreign_key_checks = 0 FOR INSERT INTO ${schema}.child VALUES (1, 77)`;
  const { acknowledge } = await unacknowledged('mariadb', insert);
  await new ProgressRow(schema, 'forward').reset(target, start.toString());
  const copiedUntil = await executedPosition(onMariadb, 'mariadb');
  const replication = replicate('mariadb', controller.signal, {
    copiedUntil: copiedUntil.toString(),
    cascades: { settled: false, onSettled: () => Promise.resolve() },
  });
  const settled = replication.waitFor(copiedUntil, AbortSignal.timeout(30_000));
  const children = async () => await target.rows(`SELECT id, parent FROM ${schema}.child`);
  await expect.poll(children, { timeout: 20_000 }).toEqual([['1', '77']]);
  await acknowledge();
  await settled;
  expect(await children()).toEqual([['1', '77']]);
  controller.abort();
  await replication.done;
});

test('a verification in the gap waits for what the stream has applied, and does not report it', async () => {
  await target.write(`INSERT INTO ${schema}.t VALUES (1, 0), (2, 0)`);
  await new ProgressRow(schema, 'forward').reset(target, (await executedPosition(source, 'mysql')).toString());
  const controller = new AbortController();
  const replication = replicate('mysql', controller.signal);
  await replication.waitFor(await executedPosition(source, 'mysql'), AbortSignal.timeout(20_000));
  const { acknowledge } = await unacknowledged('mysql', `UPDATE ${schema}.t SET v = 1`);
  await expect.poll(() => valuesOf(target), { timeout: 20_000 }).toEqual(['1', '1']);
  expect(await valuesOf(source)).toEqual(['0', '0']);
  const from = replication.applied?.clone();
  const reading = ServerConnection.open(source.server);
  await using reader = await reading;
  const sql = `SELECT v FROM ${schema}.t`;
  const read = readBetween({ connection: reader, flavor: 'mysql', from, sql, signal: controller.signal });
  const servers = {
    flavors: { source: 'mysql', target: 'mysql' },
    source: source.server,
    target: target.server,
  } as const;
  const verifying = runVerify({
    ...servers,
    tables: await pairsOf({ ...servers, schema }),
    follower: followerOf(replication),
    connections: 1,
    signal: controller.signal,
    onProgress: () => {},
  });
  // Both have asked more than once what the source has executed: they wait for an answer that they like.
  await expect.poll(waitingForPosition).toBeGreaterThanOrEqual(2);
  await acknowledge();
  expect((await read)?.rows).toEqual([['1'], ['1']]);
  expect((await verifying).state).toBe('equal');
  controller.abort();
  await replication.done;
});

test('a repair in the gap does not write an older row over what the stream has applied meanwhile', async () => {
  await target.write(`INSERT INTO ${schema}.t VALUES (1, 9), (2, 0)`);
  const progress = new ProgressRow(schema, 'forward');
  await progress.reset(target, (await executedPosition(source, 'mysql')).toString());
  const controller = new AbortController();
  const { signal } = controller;
  const replication = replicate('mysql', signal);
  await replication.waitFor(await executedPosition(source, 'mysql'), AbortSignal.timeout(20_000));
  const servers = {
    flavors: { source: 'mysql', target: 'mysql' },
    source: source.server,
    target: target.server,
  } as const;
  const [table] = await pairsOf({ ...servers, schema });
  if (table === undefined) throw new Error('no such table');
  await using writer = await openDestination(target.server);
  await createSidecar(writer, [REPAIRS_DDL]);
  // Between its look at the source and its lock on the row.
  await target.write('LOCK TABLES _switchyard.verify_repairs WRITE');
  using pair = new ConnectionPair({ ...servers, signal });
  const context = { table, follower: followerOf(replication), writer, isPaired: () => true, mirrored: false };
  const names = { importId: schema, actor: 'test', flavors: servers.flavors, signal };
  const keys = new Map([[rowKey(['1']), ['1']]]);
  const repairing = pair.use(async (open) => await repairRows({ ...context, ...names, pair: open }, keys));
  await using looking = await ServerConnection.open(target.server);
  const isHeld = `SELECT 1 FROM information_schema.PROCESSLIST WHERE ID=${writer.threadId} AND STATE LIKE 'Waiting for table metadata%'`;
  await expect.poll(async () => await looking.rows(isHeld), { timeout: 20_000 }).toHaveLength(1);
  const { acknowledge } = await unacknowledged('mysql', `UPDATE ${schema}.t SET v = 1 WHERE id = 1`);
  const values = async () => (await looking.rows(`SELECT v FROM ${schema}.t ORDER BY id`)).map(([value]) => value);
  await expect.poll(values, { timeout: 20_000 }).toEqual(['1', '0']);
  await source.write('TRUNCATE performance_schema.events_statements_history');
  await target.write('UNLOCK TABLES');
  await expect.poll(waitingForPosition, { timeout: 20_000 }).toBeGreaterThanOrEqual(1);
  await acknowledge();
  await repairing;
  expect(await values()).toEqual(['1', '0']);
  controller.abort();
  await replication.done;
});
