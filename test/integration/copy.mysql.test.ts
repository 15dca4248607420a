import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COPY_TABLES, landedChunks, type LandedChunk } from '../../engine/copy/copy-chunks-table.ts';
import { gapsOf } from '../../engine/copy/chunk.ts';
import { CopyRun } from '../../engine/copy/copy-run.ts';
import { CopyPair } from '../../engine/copy/copy-pair.ts';
import type { TableProgress } from '../../engine/copy/copy-progress.ts';
import type { CopyOptions, CopyResult } from '../../engine/copy/run-copy.ts';
import { TableChunks } from '../../engine/copy/table-chunks.ts';
import { tablePlan } from '../../engine/copy/table-plan.ts';
import { Turns } from '../../engine/copy/turns.ts';
import { holdsTyped, holdsTypedBefore8 } from '../../engine/copy/typed-json.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import type { Table } from '../../engine/schema/table.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import { createSidecar } from '../../engine/sidecar.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { CopyFixture } from '../support/copy-fixture.ts';
import { definitionOf } from '../support/stream-fixture.ts';
import { wideStatements, wideTables } from '../fidelity/zoo-tables.ts';
import { hexRows } from '../support/exact-form.ts';

let mysql: RunningServer;
let mariadb: RunningServer;
let target: RunningServer;
let there: ServerConnection;

beforeAll(async () => {
  const options = ['--sync-binlog=0', '--innodb-flush-log-at-trx-commit=0'];
  [mysql, mariadb, target] = await Promise.all([
    startServer({ flavor: 'mysql-9.7', role: 'source', options }),
    startServer({ flavor: 'mariadb-11.8', role: 'source', options }),
    startServer({ flavor: 'mysql-9.7', role: 'target', options }),
  ]);
  there = await connect(target);
  await createSidecar(there, COPY_TABLES);
});

afterAll(async () => {
  await there.close();
  for (const server of [mysql, mariadb, target]) await server[Symbol.asyncDispose]();
});

async function connect(server: RunningServer): Promise<ServerConnection> {
  return await ServerConnection.open(definitionOf(server));
}

/** Rows numbered from 1 to `count`, as `n`. */
function numbers(count: number): string {
  const digits =
    '(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)';
  const names = ['a', 'b', 'c', 'e', 'f', 'g'].slice(0, Math.ceil(Math.log10(count)));
  const sum = names.map((name, i) => `${name}.d*${10 ** i}`).join('+');
  return `(SELECT ${sum}+1 AS n FROM ${names.map((name) => `${digits} ${name}`).join(',')} HAVING n <= ${count}) numbers`;
}

function prepare(server: RunningServer, schema: string): Promise<Table[]> {
  return new CopyFixture(server, target).prepare(schema);
}

function copy(server: RunningServer, tables: Table[], changes: Partial<CopyOptions> = {}): Promise<CopyResult> {
  return new CopyFixture(server, target).copy(tables, changes);
}

async function expectEqual(server: RunningServer, tables: Table[]): Promise<void> {
  expect(await new CopyFixture(server, target).different(tables)).toEqual([]);
}

async function chunksOf(table: Table): Promise<LandedChunk[]> {
  return await landedChunks(there, table.schema, table.name);
}

describe.each(['mysql', 'mariadb'] as const)('values from %s', (flavor) => {
  const server = () => (flavor === 'mysql' ? mysql : mariadb);
  const schema = `zoo_${flavor}`;

  beforeAll(async () => {
    await using source = await connect(server());
    await source.write("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'");
    await source.write(`CREATE DATABASE ${schema} CHARACTER SET utf8mb4`);
    await source.write(`USE ${schema}`);
    for (const table of wideTables(flavor === 'mysql' ? 'mysql-9.7' : 'mariadb-11.8'))
      for (const statement of wideStatements(table)) await source.write(statement);
    // Expressions and plain fields side by side, and columns that are not copied.
    await source.write(
      'CREATE TABLE mixed (id INT AUTO_INCREMENT PRIMARY KEY, f FLOAT, b BIT(9), v VARCHAR(9), gv INT AS (LENGTH(v)), gs VARCHAR(50) AS (v) STORED, hidden INT INVISIBLE DEFAULT 7)',
    );
    await source.write("INSERT INTO mixed (id, f, b, v) VALUES (0, 0.1, 257, 'x'), (7, NULL, NULL, '')");
    await source.write('CREATE TABLE bare (id INT PRIMARY KEY)');
  });

  // With it on, test/fidelity copies the same rows.
  test('every byte arrives without local_infile', async () => {
    await there.write('SET GLOBAL local_infile = OFF');
    try {
      const tables = await prepare(server(), schema);
      const { rows } = await copy(server(), tables);
      await using source = await connect(server());
      let expected = 0;
      for (const table of tables) {
        const [here, moved] = [await hexRows(source, table), await hexRows(there, table)];
        // UNSIGNED INTEGER inside JSON becomes INTEGER (docs/limits.md).
        const folded = (list: string[]) => list.map((row) => row.replaceAll('UNSIGNED INTEGER', 'INTEGER'));
        expect([table.name, ...folded(moved)]).toEqual([table.name, ...folded(here)]);
        expected += here.length;
      }
      expect(rows).toBe(expected);
    } finally {
      await there.write('SET GLOBAL local_infile = ON');
    }
  });
});

describe.each(['mysql', 'mariadb'] as const)('chunks of keys of every kind from %s', (flavor) => {
  const server = () => (flavor === 'mysql' ? mysql : mariadb);
  const schema = `keys_${flavor}`;
  const kinds: [string, string, string][] = [
    ['negative', 'k INT', 'n - 3000'],
    ['sparse', 'k BIGINT', 'n * n * 1000003'],
    ['unsigned', 'k BIGINT UNSIGNED', '18446744073709551615 - n'],
    ['zerofill', 'k INT(9) UNSIGNED ZEROFILL', 'n'],
    ['collated', 'k VARCHAR(40) CHARACTER SET utf8mb4', "CONCAT(ELT(n % 4 + 1, 'ä', 'Z', 'ß', 'a'), n)"],
    ['latin', 'k VARCHAR(40) CHARACTER SET latin1', 'CONCAT(CHAR(n % 100 + 150), n)'],
    ['wide', 'k VARCHAR(40) CHARACTER SET utf16', "CONVERT(CONVERT(CONCAT('\\\\\\'', n) USING latin1) USING utf16)"],
    ['bytes', 'k VARBINARY(40)', 'UNHEX(SHA2(n, 224))'],
    ['padded', 'k BINARY(6)', 'LEFT(CONCAT(CHAR(n % 3), n), 6)'],
    ['decimals', 'k DECIMAL(40,9)', '(n - 2000) / 7'],
    ['moments', 'k DATETIME(3)', "DATE_ADD('1970-01-02', INTERVAL n * 7001 SECOND)"],
    ['stamps', 'k TIMESTAMP(2)', "DATE_ADD('1971-01-02', INTERVAL n * 7001 SECOND)"],
    ['doubles', 'k DOUBLE', 'n / 3 - 500'],
    ['floats', 'k FLOAT', 'n + 0.1'],
    ['bits', 'k BIT(40)', 'n * 99999'],
    ['enums', "e ENUM('x','y','z'), k INT", 'n % 3 + 1, n'],
    ['sets', "s SET('x','y','z'), k INT", 'n % 8, n'],
    ['three', 'a INT, b VARCHAR(9), k INT', "n % 5, CONCAT('b', n % 7), n"],
  ];

  beforeAll(async () => {
    await using source = await connect(server());
    await source.write(`CREATE DATABASE ${schema} CHARACTER SET utf8mb4`);
    await source.write(`USE ${schema}`);
    for (const [name, columns, values] of kinds) {
      const key = columns
        .split(', ')
        .map((column) => column.split(' ')[0])
        .join(',');
      await source.write(
        `CREATE TABLE k_${name} (${columns}, pad CHAR(200) CHARACTER SET latin1, PRIMARY KEY (${key}))`,
      );
      await source.write(
        Buffer.from(`INSERT INTO k_${name} SELECT ${values}, REPEAT('p', 200) FROM ${numbers(5000)}`).toString(
          'latin1',
        ),
      );
    }
    await source.write(
      `CREATE TABLE uniq (v INT, k VARCHAR(9) NOT NULL, pad CHAR(200) CHARACTER SET latin1, UNIQUE KEY u (k))`,
    );
    await source.write(`INSERT INTO uniq SELECT n, n, REPEAT('p', 200) FROM ${numbers(5000)}`);
    await source.rows(`ANALYZE TABLE ${[...kinds.map(([name]) => `k_${name}`), 'uniq'].join(',')}`);
  });

  test('many small chunks make the same table, once each', async () => {
    const tables = await prepare(server(), schema);
    const { rows } = await copy(server(), tables, { chunkBytes: 100_000 });
    expect(rows).toBe(tables.length * 5000);
    await expectEqual(server(), tables);
    for (const table of tables) {
      const chunks = await chunksOf(table);
      expect([table.name, chunks.length >= 6]).toEqual([table.name, true]);
      for (const [i, chunk] of chunks.entries()) expect(chunk.lower).toEqual(i === 0 ? null : chunks[i - 1]?.upper);
      expect(chunks.at(-1)?.upper).toBeNull();
      // No chunk swallows the table; the enum's first member alone is a third of it, in every possible cut.
      expect([table.name, Math.max(...chunks.map((chunk) => chunk.rows)) <= 2500]).toEqual([table.name, true]);
    }
  });
});

test('a key far behind the others that comes while the table is copied does not make chunks of all that could be between', async () => {
  await using source = await connect(mysql);
  await source.write('CREATE DATABASE far');
  await source.write('CREATE TABLE far.t (id BIGINT PRIMARY KEY, v CHAR(200))');
  await source.write(`INSERT INTO far.t SELECT n, REPEAT('x', 200) FROM ${numbers(2000)}`);
  await source.write('ANALYZE TABLE far.t');
  const [table] = await inspectTables(source, 'far', 'all');
  if (table === undefined) throw new Error('no table');
  const chunks = new TableChunks(table, gapsOf([]), 16 * 1024);
  const first = await chunks.next(source);
  expect(first?.upper).not.toBeNull();
  await source.write("INSERT INTO far.t VALUES (9223372036854775807, 'far')");
  const bounds = [first?.upper];
  while (chunks.open && bounds.length < 1000) bounds.push((await chunks.next(source))?.upper);
  expect(bounds.length).toBeGreaterThan(10);
  // By the server's samples of the table; of all that could be between there would be no end.
  expect(bounds.length).toBeLessThan(500);
  expect(bounds.at(-1)).toBeNull();
});

test.each(['mysql', 'mariadb'] as const)(
  'a table of %s that is empty by its statistics does not become one chunk',
  async (flavor) => {
    const server = flavor === 'mysql' ? mysql : mariadb;
    const schema = `stale_${flavor}`;
    await using source = await connect(server);
    await source.write(`CREATE DATABASE ${schema}`);
    await source.write(
      `CREATE TABLE ${schema}.t (id INT PRIMARY KEY, v CHAR(200)) STATS_PERSISTENT=1 STATS_AUTO_RECALC=0`,
    );
    await source.rows(`ANALYZE TABLE ${schema}.t`);
    await source.write(`INSERT INTO ${schema}.t SELECT n, REPEAT('x', 200) FROM ${numbers(20_000)}`);
    const tables = await prepare(server, schema);
    expect(tables.map(({ bytes }) => bytes)).toEqual([16_384]);
    // A verification sees no bytes: chunks grow by the time that they take.
    for (const table of tables) {
      const chunks = new TableChunks(table, gapsOf([]), 400_000);
      const upper = async () => Number((await chunks.next(source))?.upper?.[0]);
      expect(await upper()).toBe(1000);
      chunks.took(1000, 10);
      expect(await upper()).toBe(3000);
      chunks.took(2000, 1000);
      // A small one that ends late makes none smaller.
      chunks.took(1000, 10);
      expect(await upper()).toBe(5000);
    }
    await copy(server, tables, { chunkBytes: 400_000 });
    for (const table of tables) {
      const chunks = await chunksOf(table);
      expect(Math.max(...chunks.map(({ bytes }) => bytes))).toBeLessThan(1_000_000);
      expect(chunks.length).toBeGreaterThan(4);
    }
    await expectEqual(server, tables);
  },
);

describe('a table of 200,000 rows', () => {
  const schema = 'many';
  let tables: Table[];

  beforeAll(async () => {
    await using source = await connect(mysql);
    await source.write(`CREATE DATABASE ${schema}`);
    await source.write(`USE ${schema}`);
    await source.write(
      'CREATE TABLE plain (id INT PRIMARY KEY, v INT NOT NULL, pad VARCHAR(100), u INT, UNIQUE KEY (u))',
    );
    await source.write('CREATE TABLE named (k VARCHAR(40) PRIMARY KEY, v INT NOT NULL, pad VARCHAR(100))');
    await source.write(`INSERT INTO plain SELECT n, 0, REPEAT('x', n % 100), n FROM ${numbers(200_000)}`);
    await source.write(
      `INSERT INTO named SELECT CONCAT('k', LEFT(SHA2(n, 224), 30)), 0, REPEAT('y', n % 100) FROM ${numbers(50_000)}`,
    );
    await source.rows('ANALYZE TABLE plain, named');
  });

  const small = { chunkBytes: 300_000 };

  test('progress ends with exact counts, and the stamp is what the source has executed', async () => {
    tables = await prepare(mysql, schema);
    const views = new Map<string, TableProgress>();
    const { rows, bytes, stamp } = await copy(mysql, tables, {
      ...small,
      onProgress: (view) => views.set(view.name, view),
    });
    expect(rows).toBe(250_000);
    expect(views.get('plain')).toMatchObject({ rowsTotal: 200_000, rowsCopied: 200_000, state: 'copied', etaMs: 0 });
    expect([...views.values()].reduce((sum, view) => sum + view.bytes, 0)).toBe(bytes);
    await using source = await connect(mysql);
    expect((await source.rows('SELECT @@GLOBAL.gtid_executed'))[0]?.[0]?.replaceAll('\n', '')).toBe(stamp);
    await expectEqual(mysql, tables);
  });

  test('aborted in the middle, it goes on where it was', async () => {
    tables = await prepare(mysql, schema);
    let landed = 0;
    for (const stopAt of [60_000, 120_000]) {
      const controller = new AbortController();
      const copied = new Map<string, number>();
      const run = copy(mysql, tables, {
        ...small,
        signal: controller.signal,
        onProgress: ({ name, rowsCopied }) => {
          copied.set(name, rowsCopied);
          if ([...copied.values()].reduce((sum, rows) => sum + rows, 0) > stopAt) controller.abort();
        },
      });
      await expect(run).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
      const before = landed;
      // One moment for both: a COMMIT that was under way when the connection was dropped may come between two reads.
      await there.write('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
      await there.write('START TRANSACTION WITH CONSISTENT SNAPSHOT');
      landed = (await Promise.all(tables.map(chunksOf))).flat().reduce((sum, { rows }) => sum + rows, 0);
      expect(landed).toBeGreaterThan(Math.max(before, stopAt - 1));
      expect(landed).toBeLessThan(250_000);
      // What is not marked is not there: rows and marker are one transaction.
      const counts = await Promise.all(
        tables.map(async ({ name }) => Number((await there.rows(`SELECT COUNT(*) FROM ${schema}.${name}`))[0]?.[0])),
      );
      await there.write('COMMIT');
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(landed);
    }
    await using source = await connect(mysql);
    // Rows that landed before are not read again: changed on the source, they stay as they were copied.
    const first = (await chunksOf(tables.find(({ name }) => name === 'plain') ?? expect.fail()))[0];
    await source.write(`UPDATE ${schema}.plain SET v = 1 WHERE id = 1`);
    const { rows } = await copy(mysql, tables, small);
    expect(first?.seq).toBe(0);
    expect(rows).toBe(250_000);
    expect(await there.rows(`SELECT v FROM ${schema}.plain WHERE id = 1`)).toEqual([['0']]);
    await source.write(`UPDATE ${schema}.plain SET v = 0 WHERE id = 1`);
    await expectEqual(mysql, tables);
  });

  test('connections killed on both sides, again and again', async () => {
    tables = await prepare(mysql, schema);
    let kills = 0;
    let events = 0;
    const killing: Promise<void>[] = [];
    const { rows } = await copy(mysql, tables, {
      ...small,
      onProgress: () => {
        events += 1;
        if (events % 10 === 0 && kills < 8) {
          kills += 1;
          killing.push(killOthers(kills % 2 === 0 ? mysql : target));
        }
      },
    });
    await Promise.all(killing);
    expect(kills).toBe(8);
    expect(rows).toBe(250_000);
    await expectEqual(mysql, tables);
  });

  test('under writes it ends, and what nobody wrote to is equal', async () => {
    tables = await prepare(mysql, schema);
    const done = new AbortController();
    const writers = [0, 1].map(async (lane) => {
      await using writer = await connect(mysql);
      for (let i = lane; !done.signal.aborted; i += 2) {
        const id = 100_000 + ((i * 7919) % 100_000);
        await writer.write(`UPDATE ${schema}.plain SET v = v + 1, pad = REPEAT('w', ${i % 100}) WHERE id = ${id}`);
        await writer.write(`DELETE FROM ${schema}.plain WHERE id = ${id + 1}`);
        await writer.write(`INSERT INTO ${schema}.plain VALUES (${300_000 + i}, 1, 'new', ${300_000 + i})`);
      }
      return lane;
    });
    const { stamp } = await copy(mysql, tables, { ...small, connections: 2 }).finally(() => done.abort());
    await Promise.all(writers);
    expect(stamp).toMatch(/^[0-9a-f-]{36}:1-\d+$/);
    await using source = await connect(mysql);
    const untouched = `SELECT COUNT(*), SUM(CRC32(CONCAT_WS('|', id, v, pad, u))) FROM ${schema}.plain WHERE id < 100000`;
    expect(await there.rows(untouched)).toEqual(await source.rows(untouched));
    // Quiet now, and once more from the beginning.
    tables = await prepare(mysql, schema);
    await copy(mysql, tables, small);
    await expectEqual(mysql, tables);
  });

  test('a chunk whose COMMIT went without an answer is not copied twice', async () => {
    tables = await prepare(mysql, schema);
    const table = tables.find(({ name }) => name === 'named') ?? expect.fail();
    const plan = tablePlan(table, 'load_data', { packetBytesMax: 1 << 26, turns: new Turns() });
    const chunk = { seq: 0, lower: null, upper: null };
    const pair = await CopyPair.open(definitionOf(mysql), definitionOf(target), 'mysql');
    const run = await CopyRun.claim(there, schema);
    const first = await pair.copy(schema, table, { plan, chunk, run, again: false });
    expect(first.rows).toBe(50_000);
    await there.write(`DELETE FROM ${schema}.named`);
    expect(await pair.copy(schema, table, { plan, chunk, run, again: true })).toMatchObject({ rows: 50_000 });
    expect(await there.rows(`SELECT COUNT(*) FROM ${schema}.named`)).toEqual([['0']]);
    await expect(pair.copy(schema, table, { plan, chunk, run, again: false })).rejects.toMatchObject({
      details: { errno: 1062 },
    });
    pair.destroy();
  });

  test('a chunk of the run before that lands while the copy begins anew is waited for', async () => {
    tables = await prepare(mysql, schema);
    const table = tables.find(({ name }) => name === 'named') ?? expect.fail();
    const plan = tablePlan(table, 'load_data', { packetBytesMax: 1 << 26, turns: new Turns() });
    const run = await CopyRun.claim(there, schema);
    const pair = await CopyPair.open(definitionOf(mysql), definitionOf(target), 'mysql');
    const chunk = { seq: 0, lower: null, upper: null };
    // Its engine has sent COMMIT, and is gone before the server gets it.
    const write = pair.loader.write.bind(pair.loader);
    const [sent, received] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    pair.loader.write = async (sql) => {
      if (sql === 'COMMIT') sent.resolve();
      if (sql === 'COMMIT') await received.promise;
      return await write(sql);
    };
    const before = pair.copy(schema, table, { plan, chunk, run, again: false });
    await sent.promise;
    const anew = copy(mysql, [table], small);
    anew.catch(() => {});
    await isWaitedFor(pair.loader.threadId);
    received.resolve();
    await before;
    expect((await anew).rows).toBe(50_000);
    expect(await chunksOf(table)).toMatchObject([{ seq: 0, rows: 50_000 }]);
    await expectEqual(mysql, [table]);
    // Whatever it began later has no effect.
    await expect(pair.copy(schema, table, { plan, chunk, run, again: false })).rejects.toMatchObject({
      code: 'COPY_TAKEN_OVER',
    });
    pair.destroy();
  });

  /** Until another session waits for a lock of this one. */
  async function isWaitedFor(threadId: number): Promise<void> {
    const sql = `SELECT 1 FROM performance_schema.data_lock_waits w JOIN performance_schema.threads t ON t.THREAD_ID = w.BLOCKING_THREAD_ID WHERE t.PROCESSLIST_ID = ${threadId}`;
    while ((await there.rows(sql)).length === 0) await there.write('DO SLEEP(0.05)');
  }

  async function killOthers(server: RunningServer): Promise<void> {
    await using connection = await connect(server);
    const rows = await connection.rows(
      "SELECT id FROM information_schema.PROCESSLIST WHERE id <> CONNECTION_ID() AND command IN ('Query','Sleep') AND user <> 'event_scheduler'",
    );
    const keep = server === target ? String(there.threadId) : '';
    for (const [id] of rows) if (id !== keep) await connection.write(`KILL ${id}`).catch(() => {});
  }
});

test('documents with typed values are found, with JSON_TABLE and without', async () => {
  await using source = await connect(mysql);
  await source.write('CREATE DATABASE typed');
  await source.write('CREATE TABLE typed.t (id INT PRIMARY KEY, j JSON)');
  const typed = [
    "CAST(CAST('2024-01-02' AS DATE) AS JSON)",
    "JSON_ARRAY(1, JSON_ARRAY(CAST('00:00:01' AS TIME)))",
    "JSON_OBJECT(_utf8mb4'a', JSON_OBJECT(_utf8mb4'b', _binary'x'))",
    "JSON_ARRAY(CAST('1.50' AS DECIMAL(5,2)))",
    "JSON_ARRAY(CAST('12345678901234567890.5' AS DECIMAL(30,10)))",
  ];
  const untyped = ["JSON_ARRAY(1, 1.5e0, NULL, TRUE, _utf8mb4'2024-01-02')", 'JSON_OBJECT()', 'NULL'];
  const rows = [...typed, ...untyped].map((document, id) => `(${id},${document})`).join(',');
  await source.write(`INSERT INTO typed.t VALUES ${rows}`);
  const [table] = await inspectTables(source, 'typed', ['t']);
  const column = table?.columns[1] ?? expect.fail();
  for (const holds of [holdsTyped, holdsTypedBefore8]) {
    const found = await source.rows(`SELECT id FROM typed.t WHERE ${holds(column)} ORDER BY id`);
    expect(found.flat()).toEqual(typed.map((_, id) => String(id)));
  }
});

test('a server that is not there at first, and then is', async () => {
  await using source = await connect(mysql);
  await source.write('CREATE DATABASE late');
  await source.write('CREATE TABLE late.t (id INT PRIMARY KEY)');
  await source.write(`INSERT INTO late.t SELECT n FROM ${numbers(1000)}`);
  const tables = await prepare(mysql, 'late');
  await there.close();
  await target.kill();
  const [, result] = await Promise.all([
    target.start(),
    copy(mysql, tables).catch(async (error: unknown) => {
      // The first connection of all is the caller's to repeat.
      expect(error).toMatchObject({ code: 'SERVER_UNREACHABLE' });
      return undefined;
    }),
  ]);
  there = await connect(target);
  const { rows } = result ?? (await copy(mysql, tables));
  expect(rows).toBe(1000);
  await expectEqual(mysql, tables);
});
