import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Replication } from '../../engine/replication/replication.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import { executedPosition } from '../../engine/server/position.ts';
import { createSidecar, ProgressRow } from '../../engine/sidecar.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { definitionOf, purgeLogs } from '../support/stream-fixture.ts';
import { TcpRelay } from '../support/tcp-relay.ts';

let pair: Awaited<ReturnType<typeof startServerPair>>;
let source: ServerConnection;
let target: ServerConnection;
let toSource: TcpRelay;
let toTarget: TcpRelay;
let replication: Replication;
let retries: string[];
let rows = 0;
const controllers: AbortController[] = [];

beforeAll(async () => {
  pair = await startServerPair();
  source = await ServerConnection.open(definitionOf(pair.source));
  target = await ServerConnection.open(definitionOf(pair.target));
  await createSidecar(target);
  for (const connection of [source, target]) {
    await connection.write('CREATE DATABASE faults');
    await connection.write('CREATE TABLE faults.t (id INT PRIMARY KEY, v VARCHAR(200))');
  }
});

afterAll(async () => {
  await source?.close();
  await target?.close();
  await pair?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  toSource = await TcpRelay.start(pair.source);
  toTarget = await TcpRelay.start(pair.target);
  await new ProgressRow('faults', 'forward').reset(target, (await executedPosition(source, 'mysql')).toString());
  const controller = new AbortController();
  controllers.push(controller);
  retries = [];
  const plain = { tls: { mode: 'disabled', minVersion: 'TLSv1.2' } } as const;
  replication = new Replication(
    {
      importId: 'faults',
      direction: 'forward',
      origin: { ...definitionOf(pair.source), ...plain, host: toSource.host, port: toSource.port },
      destination: { ...definitionOf(pair.target), ...plain, host: toTarget.host, port: toTarget.port },
      flavor: 'mysql',
      database: 'faults',
      loadTables: () => inspectTables(source, 'faults', 'all'),
      onDdl: () => Promise.reject(new Error('no DDL was expected')),
      onRetry: ({ code }) => retries.push(code),
      silence: { originMs: 3000, destinationMs: 2000 },
    },
    controller.signal,
  );
  await write(1);
  await caughtUp();
});

afterEach(async () => {
  for (const controller of controllers.splice(0)) controller.abort();
  await replication.done.catch(() => {});
  await toSource[Symbol.asyncDispose]();
  await toTarget[Symbol.asyncDispose]();
});

async function write(count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    rows += 1;
    await source.write(`INSERT INTO faults.t VALUES (${rows}, REPEAT('x', 100))`);
  }
}

async function caughtUp(): Promise<void> {
  await replication.waitFor(await executedPosition(source, 'mysql'), AbortSignal.timeout(60_000));
}

async function expectEqual(): Promise<void> {
  await write(20);
  await caughtUp();
  expect(await target.rows('CHECKSUM TABLE faults.t')).toEqual(await source.rows('CHECKSUM TABLE faults.t'));
}

/** Goes on writing while `work` runs. */
async function whileWriting(work: () => Promise<void>): Promise<void> {
  const ended = new AbortController();
  const writer = (async () => {
    while (!ended.signal.aborted) await write(1);
  })();
  try {
    await work();
  } finally {
    ended.abort();
    await writer;
  }
}

async function retried(times: number): Promise<void> {
  await expect.poll(() => retries.length, { timeout: 60_000 }).toBeGreaterThanOrEqual(times);
}

describe.each([
  ['source', () => toSource],
  ['target', () => toTarget],
])('the connection to the %s', (_, relay) => {
  test('cut with FIN and with RST, again and again: replication goes on where it was', async () => {
    await whileWriting(async () => {
      for (const how of ['fin', 'reset', 'fin', 'reset'] as const) {
        // Not while it waits between two tries, where there is nothing to cut.
        await expect.poll(() => replication.applied, { timeout: 20_000 }).toBeDefined();
        const before = retries.length;
        relay().cut(how);
        await retried(before + 1);
      }
    });
    await expectEqual();
    expect(retries.filter((code) => code !== 'SERVER_GONE' && code !== 'SERVER_UNREACHABLE')).toEqual([]);
  });

  test('refused for a while: tries again less and less often, and goes on', async () => {
    relay().refuse();
    relay().cut('reset');
    await whileWriting(() => retried(5));
    expect(replication.applied).toBeUndefined();
    relay().forward();
    await expectEqual();
    expect(new Set(retries)).toEqual(new Set(['SERVER_GONE', 'SERVER_UNREACHABLE']));
  });

  test('stalled without a word: noticed, and replication goes on over a new one', async () => {
    relay().stall();
    await whileWriting(() => retried(1));
    relay().forward();
    await expectEqual();
  });

  test('slow: no reason to connect again', async () => {
    relay().delay(100);
    await whileWriting(() => delay(2500));
    relay().forward();
    await expectEqual();
    expect(retries).toEqual([]);
  });
});

test('a session of ours that is lost within a transaction does not hold its successor up', async () => {
  // The target gets the transaction, and its answers are lost: the session there stays open with the progress row locked.
  await using blocker = await ServerConnection.open(target.server);
  await blocker.write('BEGIN');
  await blocker.write('INSERT INTO faults.t VALUES (1000000, NULL)');
  await source.write('INSERT INTO faults.t VALUES (1000000, NULL)');
  await expect.poll(async () => lockWaits(), { timeout: 20_000 }).toBeGreaterThan(0);
  toTarget.stall();
  await blocker.write('ROLLBACK');
  await retried(1);
  // The old connection is never heard of again; new ones are.
  toTarget.strand();
  toTarget.forward();
  await expectEqual();
});

async function lockWaits(): Promise<number> {
  const [row] = await target.rows('SELECT COUNT(*) FROM performance_schema.data_lock_waits');
  return Number(row?.[0]);
}

test('a damaged event is noticed by its checksum, and read again (I4)', async () => {
  let damaged = 0;
  toSource.corrupt((data) => {
    const at = data.indexOf('damage me');
    if (at === -1 || damaged > 0) return data;
    damaged += 1;
    const copy = Buffer.from(data);
    copy.write('DAMAGE', at, 'latin1');
    return copy;
  });
  rows += 1;
  await source.write(`INSERT INTO faults.t VALUES (${rows}, 'damage me')`);
  await expectEqual();
  expect(damaged).toBe(1);
  expect(retries).toEqual(['STREAM_CHECKSUM']);
});

test('the source restarts: replication goes on', async () => {
  await pair.source.restart();
  source = await ServerConnection.open(definitionOf(pair.source));
  await expectEqual();
  expect(retries.length).toBeGreaterThan(0);
});

test('the target is killed and comes back: replication goes on from what it has', async () => {
  await whileWriting(async () => {
    await pair.target.kill();
    await retried(1);
    await pair.target.start();
  });
  target = await ServerConnection.open(definitionOf(pair.target));
  await expectEqual();
});

test('binary logs purged during a pause: stops at once, and says what to do (I4)', async () => {
  toSource.refuse();
  toSource.cut();
  await write(5);
  for (let index = 0; index < 2; index += 1) await source.write('FLUSH BINARY LOGS');
  await purgeLogs(source);
  toSource.forward();
  await expect(replication.done).rejects.toMatchObject({
    code: 'STREAM_PURGED',
    entry: { kind: 'fatal', remedy: expect.stringContaining('retention') },
  });
  expect(retries).not.toContain('STREAM_PURGED');
  await target.write('DELETE FROM faults.t');
  await source.write('DELETE FROM faults.t');
});
