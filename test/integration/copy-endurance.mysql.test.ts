import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CopyOptions } from '../../engine/copy/run-copy.ts';
import { Throttle } from '../../engine/copy/throttle.ts';
import type { Table } from '../../engine/schema/table.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { CopyFixture } from '../support/copy-fixture.ts';
import type { CopyOutcome, CopyTask } from '../support/copy-process.ts';
import { definitionOf } from '../support/stream-fixture.ts';
import { TcpRelay } from '../support/tcp-relay.ts';
import { isWhole, selected } from '../support/selection.ts';

const stack = new AsyncDisposableStack();
let fixture: CopyFixture;
let source: RunningServer;
let target: RunningServer;

beforeAll(async () => {
  const options = ['--sync-binlog=0', '--innodb-flush-log-at-trx-commit=0', '--innodb-redo-log-capacity=1G'];
  source = stack.use(await startServer({ flavor: 'mysql-9.7', role: 'source', options }));
  target = stack.use(await startServer({ flavor: 'mysql-9.7', role: 'target', options }));
  fixture = new CopyFixture(source, target);
});

afterAll(async () => {
  await stack.disposeAsync();
});

describe('faults in the middle of the copy', () => {
  const rows = 60_000;
  let tables: Table[];

  beforeAll(async () => {
    await fixture.onSource(
      'CREATE DATABASE faults',
      'CREATE TABLE faults.t (id INT PRIMARY KEY, v INT, pad VARCHAR(120))',
      `SET SESSION cte_max_recursion_depth = ${rows}`,
      `INSERT INTO faults.t WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < ${rows}) SELECT id, id % 7, REPEAT('p', id % 120) FROM n`,
      'ANALYZE TABLE faults.t',
    );
  });

  /** Copies in small chunks; `fault` happens once, when the third of them has landed. */
  async function copyWith(fault: () => Promise<void>, changes: Partial<CopyOptions> = {}): Promise<number> {
    tables = await fixture.prepare('faults');
    let landed = 0;
    let happening: Promise<void> | undefined;
    const result = await fixture.copy(tables, {
      chunkBytes: 400_000,
      silenceMs: 250,
      ...changes,
      onProgress: ({ state, rowsCopied }) => {
        if (state !== 'copying' || rowsCopied === 0) return;
        landed += 1;
        if (landed === 3) happening = fault();
      },
    });
    await happening;
    expect(landed).toBeGreaterThan(3);
    expect(await fixture.different(tables)).toEqual([]);
    return result.rows;
  }

  test.each(selected(['source'] as const, ['target'] as const))(
    'connections to the %s that never hear anything again',
    async (side) => {
      const server = side === 'source' ? source : target;
      await using relay = await TcpRelay.start(server);
      const through = { [side]: { ...definitionOf(server), host: relay.host, port: relay.port } };
      expect(await copyWith(async () => relay.strand(), through)).toBe(rows);
      expect(relay.accepted).toBeGreaterThan(4);
    },
  );

  // With the log flushed once a second, as here, the target takes back what it had acknowledged.
  test.each(selected(['target'] as const, ['source'] as const))('the %s is killed and starts again', async (side) => {
    const server = side === 'source' ? source : target;
    const restart = async () => {
      await server.kill();
      await server.start();
    };
    expect(await copyWith(restart)).toBe(rows);
  });
});

describe('throttle', () => {
  const limits = { sourceLatencyMs: null, historyLengthMax: null, replicaLagMs: null };

  /** Copies under `changes`; `relieve` runs once the copy is held, and until then nothing may land. */
  async function copyHeld(changes: Partial<CopyOptions>, relieve: () => Promise<void>): Promise<(string | null)[]> {
    await fixture.onSource(
      'CREATE DATABASE IF NOT EXISTS gentle',
      'CREATE TABLE IF NOT EXISTS gentle.t (id INT PRIMARY KEY)',
      'REPLACE INTO gentle.t VALUES (1)',
    );
    const tables = await fixture.prepare('gentle');
    const reasons: (string | null)[] = [];
    let relieving: Promise<void> | undefined;
    await fixture.copy(tables, {
      ...changes,
      onThrottle: (reason) => {
        reasons.push(reason);
        if (reason !== null) relieving ??= relieve();
      },
      onProgress: ({ rowsCopied }) => {
        if (rowsCopied > 0) expect(reasons).toContain(null);
      },
    });
    await relieving;
    expect(await fixture.different(tables)).toEqual([]);
    return reasons;
  }

  test('by the latency of the source', async () => {
    await using relay = await TcpRelay.start(source);
    relay.delay(60);
    const through = { ...definitionOf(source), host: relay.host, port: relay.port };
    const reasons = await copyHeld({ source: through, throttle: { ...limits, sourceLatencyMs: 50 } }, async () =>
      relay.forward(),
    );
    // A busy machine may be as slow for a moment by itself.
    expect(reasons[0]).toMatch(/takes \d+ ms for SELECT 1/);
    expect(reasons.at(-1)).toBeNull();
  });

  test('by the row versions that a long transaction keeps from being purged', async () => {
    await using old = await ServerConnection.open(definitionOf(source));
    await using writer = await ServerConnection.open(definitionOf(source));
    // Else the length is brought up to date with every 128th purge: a minute on a server that does nothing else.
    await writer.write('SET GLOBAL innodb_purge_rseg_truncate_frequency = 1');
    await writer.write('CREATE DATABASE busy');
    await writer.write('CREATE TABLE busy.t (id INT PRIMARY KEY, v INT)');
    await writer.write('INSERT INTO busy.t VALUES (1, 0)');
    await old.write('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    await old.write('START TRANSACTION WITH CONSISTENT SNAPSHOT');
    for (let i = 0; i < 300; i += 1) await writer.write('UPDATE busy.t SET v = v + 1');
    const reasons = await copyHeld({ throttle: { ...limits, historyLengthMax: 200 } }, async () => {
      await old.write('COMMIT');
    });
    expect(reasons).toEqual([expect.stringMatching(/has \d+ old row versions/), null]);
  });

  test('by the lag of the replica that is read from', async () => {
    // The target as a replica of the source that applies nothing for an hour.
    await using replica = await ServerConnection.open(definitionOf(target));
    const { host, port, adminUser, adminPassword } = source;
    await replica.write(
      `CHANGE REPLICATION SOURCE TO SOURCE_HOST='${host}', SOURCE_PORT=${port}, SOURCE_USER='${adminUser}', SOURCE_PASSWORD='${adminPassword}', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, SOURCE_DELAY=3600`,
    );
    await replica.write('START REPLICA');
    const reasons: (string | null)[] = [];
    await using throttle = new Throttle({
      server: definitionOf(target),
      limits: { ...limits, replicaLagMs: 1000 },
      onChange: (reason) => reasons.push(reason),
    });
    while (reasons.length === 0) {
      const soon = AbortSignal.timeout(1500);
      await throttle.pass(soon).catch(() => {});
    }
    await replica.write('STOP REPLICA');
    await replica.write('RESET REPLICA ALL');
    await throttle.pass(new AbortController().signal);
    expect(reasons).toEqual([expect.stringMatching(/is \d+ ms behind/), null]);
  });
});

test.runIf(isWhole)('rows of 1 KB to 64 MiB over four connections stay under 512 MiB of memory', async () => {
  const sizes = {
    a: [16_000_000, 64 << 20, 1000, 100_000, 16_777_300],
    b: [16_700_000, 1000, 64 << 20, 1000, 3_000_000],
  };
  await fixture.onSource(
    'CREATE DATABASE large',
    'CREATE TABLE large.a (id INT PRIMARY KEY, b LONGBLOB, t LONGTEXT, j JSON)',
    'CREATE TABLE large.b LIKE large.a',
    ...Object.entries(sizes).flatMap(([table, bytesOfRows]) =>
      bytesOfRows.map(
        (bytes, id) =>
          `INSERT INTO large.${table} VALUES (${id}, REPEAT(UNHEX('001c1d1e0a5c27ff'), ${Math.trunc(bytes / 8)}), REPEAT('\\'x', ${Math.min(8_000_000, Math.trunc(bytes / 2))}), JSON_OBJECT(_utf8mb4'k', REPEAT(_utf8mb4'j', ${Math.min(16_000_000, bytes)})))`,
      ),
    ),
  );
  const tables = await fixture.prepare('large');
  const task: CopyTask = {
    source: definitionOf(source),
    target: definitionOf(target),
    schema: 'large',
    connections: 4,
  };
  const program = new URL('../support/copy-process.ts', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(process.execPath, [program, JSON.stringify(task)]);
  const outcome = JSON.parse(stdout) as CopyOutcome;
  console.log(
    `engine memory, ${Math.round(outcome.bytes / 1e6)} MB in ${outcome.rows} rows: ${outcome.residentMiBMax} MiB resident`,
  );
  expect(outcome.rows).toBe(sizes.a.length + sizes.b.length);
  expect(await fixture.different(tables)).toEqual([]);
  expect(outcome.residentMiBMax).toBeLessThan(512);
});

/** Of which the last one has 1,000 columns. */
const TABLES = isWhole ? 1000 : 150;

test(`${TABLES} tables, among them empty ones, one of one row and one of 1,000 columns`, async () => {
  await using connection = await ServerConnection.open(definitionOf(source), { multiStatements: true });
  const columns = Array.from(
    { length: 1000 },
    (_, i) => `c${i} ${i % 3 === 0 ? 'INT' : 'CHAR(4) CHARACTER SET latin1'}`,
  );
  const wide = [
    `CREATE TABLE wide (id INT PRIMARY KEY, ${columns.join(',')})`,
    `INSERT INTO wide (id, c0, c1, c998, c999) VALUES (1, 7, 'a', 'last', 9), (2, NULL, '', NULL, NULL)`,
  ];
  const small = Array.from({ length: TABLES - 1 }, (_, i) => [
    `CREATE TABLE t${i} (id INT PRIMARY KEY, v VARCHAR(9))`,
    ...(i % 2 === 0 ? [`INSERT INTO t${i} VALUES (1, 'a'), (${i + 2}, 'b')`] : []),
  ]).flat();
  await connection.batch(['CREATE DATABASE many', 'USE many', ...wide, ...small]);
  const tables = await fixture.prepare('many');
  expect(tables).toHaveLength(TABLES);
  const startedAt = performance.now();
  expect(await fixture.copy(tables)).toMatchObject({ rows: TABLES + 2 });
  console.log(`${TABLES} tables copied in ${Math.round(performance.now() - startedAt)} ms`);
  expect(await fixture.different(tables)).toEqual([]);
});
