import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppError } from '../../core/errors.ts';
import type { VerifyView } from '../../engine/api.ts';
import { rowKey } from '../../engine/apply/window.ts';
import { Replication } from '../../engine/replication/replication.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import { executedPosition } from '../../engine/server/position.ts';
import { createSidecar, ProgressRow } from '../../engine/sidecar.ts';
import type { Follower, TouchListener } from '../../engine/verify/follower.ts';
import { isWhole } from '../support/selection.ts';
import { VerifyFixture } from '../support/verify-fixture.ts';

const ROWS = 20_000;
const WRITERS = 3;

let pair: VerifyFixture;
let replication: Replication;
const controller = new AbortController();
const listeners = new Set<TouchListener>();

beforeAll(async () => {
  pair = await VerifyFixture.start('mysql-9.7');
  await createSidecar(pair.target);
  await pair.both(
    'SET SESSION cte_max_recursion_depth = 1000000',
    'CREATE TABLE account (id INT PRIMARY KEY, balance BIGINT NOT NULL, note VARCHAR(200), at DATETIME(6))',
    'CREATE TABLE name (name VARCHAR(40) PRIMARY KEY, hits INT NOT NULL)',
    `INSERT INTO account WITH RECURSIVE n AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS - 1}) SELECT i, i, SHA2(i, 256), '2026-01-01' FROM n`,
    `INSERT INTO name SELECT CONCAT('name', id), 0 FROM account WHERE id < 2000`,
    'ANALYZE TABLE account, name',
  );
  await new ProgressRow('live', 'forward').reset(
    pair.target,
    (await executedPosition(pair.source, 'mysql')).toString(),
  );
  replication = new Replication(
    {
      importId: 'live',
      direction: 'forward',
      origin: pair.source.server,
      destination: pair.target.server,
      flavor: 'mysql',
      database: 'shop',
      loadTables: async () => await inspectTables(pair.source, 'shop', 'all'),
      onDdl: async ({ ddl }) => {
        throw new AppError('DDL_STOPPED', ddl.sql);
      },
      onApplied: (tables) => {
        for (const { table, rows } of tables) {
          const keys = [...rows.values()].map(({ key }) => ({ key: rowKey(key), values: key }));
          for (const listener of listeners) listener(table.name, keys);
        }
      },
    },
    controller.signal,
  );
}, 180_000);

afterAll(async () => {
  await replication?.stop();
  await pair?.[Symbol.asyncDispose]();
});

const follower: Follower = {
  get applied() {
    return replication.applied;
  },
  waitFor: async (position, signal) => await replication.waitFor(position, signal),
  reported: async () => await replication.reported(),
  onTouched: (listener) => {
    listeners.add(listener);
    return { [Symbol.dispose]: () => void listeners.delete(listener) };
  },
  onDdl: () => ({ [Symbol.dispose]: () => {} }),
};

/** Writes until disposed of: a few hot rows, many cold ones, keys that change case, rows that come and go. */
class Load implements AsyncDisposable {
  #stopped = false;
  readonly #writers = Array.from({ length: WRITERS }, (_, writer) => this.#write(writer));
  transactions = 0;

  async #write(writer: number): Promise<void> {
    await using connection = await ServerConnection.open(pair.source.server, {
      database: 'shop',
      session: ['SET NAMES utf8mb4'],
    });
    for (let i = 0; !this.#stopped; i += 1) {
      const id = (i * 7919 + writer) % ROWS;
      // Rows below 100 belong to nobody's writes, so that a test can damage them.
      const cold = 100 + (id % (ROWS - 100));
      const name = `name${(i * WRITERS + writer) % 2000}`;
      const statements = [
        `UPDATE account SET balance = balance + 1, at = NOW(6) WHERE id = ${cold}`,
        `UPDATE account SET balance = balance - 1 WHERE id = ${150 + (i % 2)}`,
        `REPLACE INTO account VALUES (${ROWS + (i % 50) * WRITERS + writer}, ${i}, 'comes', NOW(6))`,
        `DELETE FROM account WHERE id = ${ROWS + ((i + 25) % 50) * WRITERS + writer}`,
        `UPDATE name SET name = IF(BINARY name = '${name}', UPPER('${name}'), '${name}'), hits = hits + 1 WHERE name = '${name}'`,
      ];
      try {
        await connection.write('BEGIN');
        for (const statement of statements) await connection.write(statement);
        await connection.write('COMMIT');
        this.transactions += 1;
      } catch (error) {
        // A deadlock of two writers has rolled one back.
        if (!(error instanceof AppError) || error.details['errno'] !== 1213) throw error;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#writers);
  }
}

async function verify(): Promise<VerifyView> {
  return await pair.verify('all', { follower, chunkBytes: 256 * 1024 });
}

test('no difference is reported while three writers write and replication runs', async () => {
  await using load = new Load();
  let applied = 0;
  const subscription = follower.onTouched((_, keys) => {
    applied += typeof keys === 'string' ? 1 : [...keys].length;
  });
  for (let run = 0; run < 5; run += 1) {
    const before = { applied, transactions: load.transactions };
    const view = await verify();
    expect({ run, state: view.state, differences: view.tables.flatMap(({ differences }) => differences) }).toEqual({
      run,
      state: 'equal',
      differences: [],
    });
    // Otherwise this run proves nothing.
    expect(applied).toBeGreaterThan(before.applied);
    expect(load.transactions).toBeGreaterThan(before.transactions);
  }
  subscription[Symbol.dispose]();
});

test('rows that were damaged on the target are found under the same load, and only they', async () => {
  await using load = new Load();
  await pair.onTarget(
    'UPDATE account SET balance = balance + 1 WHERE id = 5',
    'DELETE FROM account WHERE id = 50',
    "INSERT INTO account VALUES (-1, 0, 'nobody wrote this', NULL)",
  );
  const view = await verify();
  expect(load.transactions).toBeGreaterThan(0);
  expect(
    view.tables.flatMap(({ differences }) => differences).sort((a, b) => a.key.localeCompare(b.key)),
  ).toMatchObject([
    { key: '(-1)', kind: 'extra', columns: [] },
    { key: '(5)', kind: 'different', columns: ['balance'] },
    { key: '(50)', kind: 'missing', columns: [] },
  ]);
  await pair.onTarget(
    'UPDATE account SET balance = 5 WHERE id = 5',
    'DELETE FROM account WHERE id = -1',
    "INSERT INTO account VALUES (50, 50, SHA2(50, 256), '2026-01-01')",
  );
});

test('after the load everything is equal', async () => {
  expect((await verify()).state).toBe('equal');
});

test('rows are repaired while they are written: none is put back to what it was before', async () => {
  const ids = Array.from({ length: 2000 }, (_, i) => 1000 + i);
  const writeUntil = async (isOver: () => boolean) => {
    await using connection = await ServerConnection.open(pair.source.server, { database: 'shop' });
    for (let i = 0; !isOver(); i += 1)
      await connection.write(
        `UPDATE account SET balance = balance + 1, at = NOW(6) WHERE id = ${ids[(i * 7) % ids.length]}`,
      );
  };
  let repaired = 0;
  for (let round = 0; round < (isWhole ? 6 : 2); round += 1) {
    await pair.onTarget(
      'SET sql_log_bin = 0',
      `UPDATE account SET note = 'spoilt' WHERE id BETWEEN ${ids[0]} AND ${ids.at(-1)}`,
      'SET sql_log_bin = 1',
    );
    let isOver = false;
    const writing = writeUntil(() => isOver);
    repaired += (await pair.repair('account', follower)).repaired.length;
    isOver = true;
    await writing;
    await replication.waitFor(await executedPosition(pair.source, 'mysql'), controller.signal);
    // What is left is what was spoilt, and nothing that a repair has done.
    const left = (await verify()).tables.flatMap(({ differences }) => differences);
    expect(left.filter(({ columns }) => columns.join('') !== 'note')).toEqual([]);
    await pair.repair('account', follower);
    expect((await verify()).state).toBe('equal');
  }
  expect(repaired).toBeGreaterThan(1000);
});

test('a row that is written all the time is left unsure, never called equal or different', async () => {
  // Somebody holds the row's changes back: the source moves on, the follower says so, the target never catches up.
  await pair.onTarget("UPDATE account SET note = 'hot' WHERE id = 7");
  const hot = { key: '7', values: ['7'] };
  const views: VerifyView[] = [];
  const verifying = pair.verify('all', {
    follower: {
      ...follower,
      onTouched: (listener) => {
        listener('account', [hot]);
        return { [Symbol.dispose]: () => {} };
      },
    },
    settleMsMax: 300,
    onProgress: (view) => views.push(view),
  });
  await expect(verifying).rejects.toMatchObject({ code: 'VERIFY_UNSETTLED', details: { tables: { account: 1 } } });
  expect(views.at(-1)).toMatchObject({ state: 'failed' });
  await pair.onTarget('UPDATE account SET note = SHA2(7, 256) WHERE id = 7');
});
