import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppError } from '../../core/errors.ts';
import { parsePosition } from '../../core/gtid.ts';
import type { VerifyView } from '../../engine/api.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import { executedPosition } from '../../engine/server/position.ts';
import type { Follower, TouchListener } from '../../engine/verify/follower.ts';
import { readBetween } from '../../engine/verify/source-read.ts';
import { standInFollower, VerifyFixture } from '../support/verify-fixture.ts';

/** Orders of events that a real replication produces once in a million: here they happen each time. */

let pair: VerifyFixture;

beforeAll(async () => {
  pair = await VerifyFixture.start('mysql-9.7');
  await pair.both(
    'CREATE TABLE one (id INT PRIMARY KEY, v INT)',
    'INSERT INTO one VALUES (1, 0)',
    'SET SESSION cte_max_recursion_depth = 1000000',
  );
}, 180_000);

afterAll(async () => {
  await pair?.[Symbol.asyncDispose]();
});

test('a commit whose answer is on its way is no difference', async () => {
  const listeners = new Set<TouchListener>();
  let untold = false;
  let changes = 0;
  const follower = standInFollower('mysql', {
    // After each read of the source, and before the target is read: a window commits, and nobody has been told.
    waitFor: async () => {
      if (changes === 3) return;
      changes += 1;
      await pair.both('UPDATE one SET v = v + 1');
      untold = true;
    },
    onTouched: (listener) => {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
    reported: async () => {
      if (untold) for (const listener of listeners) listener('one', [{ key: '1', values: ['1'] }]);
      untold = false;
    },
  });
  expect((await pair.verify(['one'], { follower })).state).toBe('equal');
  // Fingerprints, digests, and the first look at the key alone all saw the sides differ.
  expect(changes).toBe(3);
});

test('a transaction that was delivered before it is visible on the source is no difference', async () => {
  const next = nextGtid((await executedPosition(pair.source, 'mysql')).toString());
  await pair.onTarget('UPDATE one SET v = 1000');
  const applied = await executedPosition(pair.source, 'mysql');
  applied.advance(next);
  let becomesVisible: Promise<void> | undefined;
  const follower = standInFollower('mysql', {
    get applied() {
      // The wait of semi-synchronous replication, between binlog and visibility.
      becomesVisible ??= new Promise((resolve) => setTimeout(resolve, 300)).then(
        async () => await pair.onSource('UPDATE one SET v = 1000'),
      );
      return applied;
    },
  });
  expect((await pair.verify(['one'], { follower })).state).toBe('equal');
  await becomesVisible;
});

test('what is visible but not yet executed is waited for', async () => {
  const executed = await executedPosition(pair.source, 'mysql');
  const gtid = nextGtid(executed.toString());
  await using writer = await ServerConnection.open(pair.source.server, { database: 'shop' });
  await writer.write(`SET SESSION gtid_next = '${gtid}'`);
  await writer.write('BEGIN');
  await writer.write('UPDATE one SET v = v + 1');
  await using reader = await ServerConnection.open(pair.source.server, { database: 'shop' });
  const progress = { settled: false };
  const reading = readBetween({
    connection: reader,
    flavor: 'mysql',
    from: executed,
    sql: 'SELECT v FROM one',
    signal: new AbortController().signal,
  }).finally(() => {
    progress.settled = true;
  });
  // The reader has asked twice who owns a GTID, so it waits for an answer that it likes.
  const asked = `SELECT COUNT(*) FROM performance_schema.threads JOIN performance_schema.events_statements_history USING (thread_id) WHERE processlist_id = ${reader.threadId} AND sql_text LIKE '%gtid_owned%'`;
  while (!progress.settled && Number((await pair.source.rows(asked))[0]?.[0]) < 2);
  expect(progress.settled).toBe(false);
  await writer.write('COMMIT');
  const read = await reading;
  expect(read?.until.coversGtid(gtid)).toBe(true);
});

test('a difference that nobody writes is one at the first look, with the real order of waits', async () => {
  await pair.onTarget('UPDATE one SET v = -1');
  const order: string[] = [];
  const follower = standInFollower('mysql', {
    onTouched: () => {
      order.push('listen');
      return { [Symbol.dispose]: () => void order.push('stop') };
    },
    waitFor: async () => void order.push('wait'),
    reported: async () => void order.push('reported'),
  });
  expect(await pair.verifyOne('one', { follower })).toMatchObject({
    state: 'different',
    differences: [{ key: '(1)', kind: 'different', columns: ['v'] }],
  });
  // Fingerprints; digests of the range; the key alone.
  expect(order).toEqual(['listen', 'wait', 'reported', 'stop', 'wait', 'listen', 'wait', 'reported', 'stop']);
});

test('rows that were written between the two fingerprints are taken out of them and looked at alone', async () => {
  await pair.both('CREATE TABLE some (id INT PRIMARY KEY, v INT)', 'INSERT INTO some VALUES (1, 0), (2, 0), (3, 0)');
  const order: string[] = [];
  const writer = touching('some', ['2', '4']);
  const follower = standInFollower('mysql', {
    onTouched: (listener) => {
      order.push('listen');
      return writer.onTouched(listener);
    },
    waitFor: async () => {
      order.push('wait');
      if (order.length === 2) await pair.both('UPDATE some SET v = 7 WHERE id = 2', 'INSERT INTO some VALUES (4, 0)');
    },
  });
  expect(await pair.verifyOne('some', { follower })).toMatchObject({ state: 'equal', rows: 3 });
  // Fingerprints, keys; no list of the range, for which nobody listens.
  expect(order).toEqual(['listen', 'wait', 'listen', 'wait']);
});

test('a row that merely equals a written key in its collation stays in', async () => {
  await pair.both('CREATE TABLE weights (k VARCHAR(10) PRIMARY KEY, v INT)');
  await pair.onSource("INSERT INTO weights VALUES ('A', 1)");
  await pair.onTarget("INSERT INTO weights VALUES ('A', 2)");
  expect(await pair.verifyOne('weights', { follower: touching('weights', ['a']) })).toMatchObject({
    differences: [{ key: '(A)', kind: 'different', columns: ['v'] }],
  });
});

test('lost connections are opened again, and chunks counted once', async () => {
  await pair.both(
    'CREATE TABLE many (id INT PRIMARY KEY, v CHAR(64))',
    'INSERT INTO many WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i, SHA2(i, 256) FROM n',
    'ANALYZE TABLE many',
  );
  const killed: string[] = [];
  const views: VerifyView[] = [];
  let waits = 0;
  const follower = standInFollower('mysql', {
    waitFor: async () => {
      waits += 1;
      if (waits === 3 || waits === 6) killed.push(...(await killOthers(waits === 3 ? pair.source : pair.target)));
    },
  });
  const view = await pair.verify(['many'], { follower, chunkBytes: 64 * 1024, onProgress: (seen) => views.push(seen) });
  expect(killed.length).toBeGreaterThanOrEqual(2);
  expect(view).toMatchObject({ state: 'equal', rows: 20_000 });
  expect(view.tables[0]?.chunksDone).toBe(view.tables[0]?.chunksTotal);
});

test('aborting ends it at once, also while it waits for the follower', async () => {
  const controller = new AbortController();
  const follower = standInFollower('mysql', {
    waitFor: async (_, signal) => {
      controller.abort();
      await new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
      );
    },
  });
  const views: VerifyView[] = [];
  await expect(
    pair.verify(['many'], { follower, signal: controller.signal, onProgress: (view) => views.push(view) }),
  ).rejects.toMatchObject({ name: 'AbortError' });
  expect(views.at(-1)?.state).toBe('failed');
});

test('a replication that ended is an error, not a reason to try again', async () => {
  const follower = standInFollower('mysql', {
    waitFor: async () => {
      throw new AppError('SERVER_GONE', 'the stream was stopped');
    },
  });
  await expect(pair.verify(['many'], { follower })).rejects.toMatchObject({ message: 'the stream was stopped' });
});

/** Tells every listener at once that these keys were written. */
function touching(table: string, keys: string[]): Follower {
  return standInFollower('mysql', {
    onTouched: (listener) => {
      listener(
        table,
        keys.map((key) => ({ key, values: [key] })),
      );
      return { [Symbol.dispose]: () => {} };
    },
  });
}

/** The GTID after the last of a set of one server. */
function nextGtid(executed: string): string {
  const [, uuid = '', last = '0'] = /^([0-9a-f-]+):(?:.*[-:])?(\d+)$/.exec(executed) ?? [];
  const gtid = `${uuid}:${Number(last) + 1}`;
  expect(parsePosition('mysql', executed).coversGtid(gtid)).toBe(false);
  return gtid;
}

async function killOthers(connection: ServerConnection): Promise<string[]> {
  const rows = await connection.rows(
    "SELECT id FROM performance_schema.processlist WHERE id <> CONNECTION_ID() AND user = 'root'",
  );
  const ids = rows.map(([id]) => id ?? '');
  const killed: string[] = [];
  // One may be ending by itself: of an earlier test.
  for (const id of ids)
    await connection.write(`KILL ${id}`).then(
      () => killed.push(id),
      () => {},
    );
  return killed;
}
