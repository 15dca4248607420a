import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parsePosition } from '../../core/gtid.ts';
import { DdlJournal } from '../../engine/ddl/ddl-journal.ts';
import { ddlHandler } from '../../engine/ddl/ddl-policy.ts';
import { quoteText } from '../../engine/server/connection.ts';
import { lanesAhead } from '../../engine/sidecar.ts';
import { ApplyPair, type PairDatabase } from '../support/apply-pair.ts';

let pair: ApplyPair;
beforeAll(async () => {
  pair = await ApplyPair.start();
});
afterAll(async () => {
  await pair?.[Symbol.asyncDispose]();
});

/** Other unique keys, keys that change, keys that are equal by collation, and rows that lanes can share. */
const TABLES = [
  'CREATE TABLE u (id INT PRIMARY KEY, u VARCHAR(20) COLLATE utf8mb4_0900_ai_ci UNIQUE, w INT, UNIQUE (w, id))',
  'CREATE TABLE k (id VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT)',
  "CREATE TABLE e (e ENUM('x','y','z'), n INT, u INT UNIQUE, PRIMARY KEY (e, n))",
  'CREATE TABLE n (id INT PRIMARY KEY, v INT)',
  // See `backlog`.
  'CREATE TABLE backlog (id INT PRIMARY KEY, pad VARBINARY(2000) DEFAULT (REPEAT("x", 2000)))',
  // As u, but the key is over a prefix, an expression, a generated column.
  'CREATE TABLE u_prefix (id INT PRIMARY KEY, u VARCHAR(20) COLLATE utf8mb4_0900_ai_ci, w INT, UNIQUE (u(1)), UNIQUE (w, id))',
  'CREATE TABLE u_expression (id INT PRIMARY KEY, u VARCHAR(20) COLLATE utf8mb4_0900_ai_ci, w INT, UNIQUE ((CONCAT(u, 1))))',
  'CREATE TABLE u_generated (id INT PRIMARY KEY, u VARCHAR(20) COLLATE utf8mb4_0900_ai_ci, w INT, g VARCHAR(21) COLLATE utf8mb4_0900_ai_ci AS (CONCAT(u, 1)) UNIQUE)',
  'CREATE TABLE m (id INT PRIMARY KEY, j JSON, UNIQUE ((CAST(j AS UNSIGNED ARRAY))))',
];
const LIKE_U = ['u_prefix', 'u_expression', 'u_generated'];
const NAMES = ['u', 'k', 'e', 'n', 'm', 'backlog', ...LIKE_U];

/** What is done to u, and the same to the tables that are like it. */
function alsoLikeU(statement: string): string[] {
  const [, verb, rest] = /^(INSERT INTO|UPDATE|DELETE FROM) u (.*)$/.exec(statement) ?? [];
  if (verb === undefined) return [statement];
  // Different behind the prefix.
  const longer = rest?.replaceAll(/'(\p{L})'/gu, `'$1${statement.length}'`);
  const other = (name: string) =>
    `${verb} ${name} ${name === 'u_prefix' ? longer : verb === 'INSERT INTO' ? `(id, u, w) ${rest}` : rest}`;
  return [statement, ...LIKE_U.map(other)];
}

const ROUNDS: string[][] = [
  ["INSERT INTO u VALUES (1, 'a', 1), (2, 'b', 1), (3, 'c', 1), (4, NULL, 1), (5, NULL, 1)"],
  // A swap, a chain of three, and a value that moves to a new row.
  ['UPDATE u SET u=NULL WHERE id=1', "UPDATE u SET u='a' WHERE id=2", "UPDATE u SET u='b' WHERE id=1"],
  [
    "UPDATE u SET u='t' WHERE id=1",
    "UPDATE u SET u='b' WHERE id=3",
    "UPDATE u SET u='c' WHERE id=2",
    "UPDATE u SET u='a' WHERE id=1",
  ],
  ['DELETE FROM u WHERE id=1', "INSERT INTO u VALUES (9, 'a', 2)"],
  ["UPDATE u SET u='q' WHERE id=9"],
  ["UPDATE u SET u='a' WHERE id=2"],
  ["UPDATE u SET u='c' WHERE id=9"],
  // Only the case, and to itself.
  ['UPDATE u SET u=UPPER(u)', 'UPDATE u SET w=w+1', 'UPDATE u SET w=w-1'],
  // The value goes to another row in another case.
  ["UPDATE u SET u='z' WHERE id=2", "UPDATE u SET u='ä' WHERE id=3"],
  // Keys: a chain 1 -> 2 -> 3, a swap, and there and back.
  ['INSERT INTO n VALUES (1, 1), (2, 2), (3, 3), (4, 4)'],
  ['DELETE FROM n WHERE id=3', 'UPDATE n SET id=3 WHERE id=2', 'UPDATE n SET id=2 WHERE id=1'],
  ['UPDATE n SET id=99 WHERE id=3', 'UPDATE n SET id=3 WHERE id=4', 'UPDATE n SET id=4 WHERE id=99'],
  ['UPDATE n SET id=50 WHERE id=2', 'UPDATE n SET id=2 WHERE id=50'],
  // Keys that are equal by collation or but for trailing spaces.
  ["INSERT INTO k VALUES ('a', 1), ('b ', 2), ('c', 3)"],
  ["UPDATE k SET id='A' WHERE id='a'"],
  ["UPDATE k SET id='b' WHERE id='b '", "UPDATE k SET id='b  ' WHERE id='b'"],
  ["DELETE FROM k WHERE id='A'", "INSERT INTO k VALUES ('a ', 4)"],
  ["UPDATE k SET id='C', v=v+1 WHERE id='c'", "UPDATE k SET id='d' WHERE id='C'", "INSERT INTO k VALUES ('c', 5)"],
  ["INSERT INTO e VALUES ('x', 1, 1), ('x', 2, 2), ('z', 1, 3), ('y', 7, 4)"],
  ['UPDATE e SET u=9 WHERE u=1', 'UPDATE e SET u=1 WHERE u=2', 'UPDATE e SET u=2 WHERE u=9', 'DELETE FROM e WHERE u=3'],
  ["UPDATE e SET e='z', u=3 WHERE u=4", "DELETE FROM e WHERE e='x' AND n=2"],
  ['INSERT INTO m VALUES (1, JSON_ARRAY(1,2)), (2, JSON_ARRAY(3)), (3, JSON_ARRAY()), (4, NULL)'],
  ['UPDATE m SET j=JSON_ARRAY(2) WHERE id=1', 'UPDATE m SET j=JSON_ARRAY(1,3) WHERE id=2'],
  ['DELETE FROM m WHERE id=2', 'UPDATE m SET j=NULL WHERE id=1', 'UPDATE m SET j=JSON_ARRAY(1,2,3) WHERE id=4'],
  [
    'UPDATE m SET j=NULL WHERE id=4',
    'UPDATE m SET j=JSON_ARRAY(3) WHERE id=1',
    'INSERT INTO m VALUES (2, JSON_ARRAY(1,2))',
  ],
].map((round) => round.flatMap(alsoLikeU));

async function expectEqual(database: PairDatabase): Promise<void> {
  for (const table of NAMES)
    expect(await database.rows('target', table), table).toEqual(await database.rows('source', table));
}

/** The first row of a backlog, as a transaction of its own: see `withAllWaiting`. */
const HELD = 999_999;

/**
 * Several times what must wait for a stream to be behind: what the source has sent is not yet read, and a window or two may
 * go before enough has been.
 */
const BEHIND = 8000;

/** Large rows: what the servers have sent is more than sockets hold, so most of it has been read by then. */
async function backlog(database: PairDatabase, first: number, count = 1000): Promise<void> {
  const rows = Array.from({ length: count }, (_, index) => `INSERT INTO backlog (id) VALUES (${first + index})`);
  await pair.source.write(`USE ${database.name}`);
  for (let index = 0; index < count; index += 500) await pair.source.batch(rows.slice(index, index + 500));
}

test.each([
  ['each transaction by itself, exactly', true, false],
  ['each transaction by itself, replayed', false, false],
  ['all in one window', true, false],
  ['in lanes, exactly', true, true],
  ['in lanes, replayed', false, true],
])('unique values and keys that go round: %s', async (name, exact, lanes) => {
  const database = await pair.database(`round_${name.replaceAll(/\W/g, '_')}`, TABLES);
  if (name.startsWith('each')) {
    const replication = database.follow(exact);
    for (const round of ROUNDS) {
      await database.run(round);
      await replication.waitFor(await pair.position(), AbortSignal.timeout(30_000));
    }
    await replication.stop();
  } else {
    if (lanes) await database.run([`INSERT INTO n VALUES (${HELD}, 0)`]);
    if (lanes) await backlog(database, 1000);
    await database.run(...ROUNDS);
    if (lanes) await backlog(database, 10_000, BEHIND);
    await database.applyAll(exact, lanes ? HELD : undefined);
  }
  await expectEqual(database);
  expect((await database.laneWindows()) > 0).toBe(lanes);
});

test('replayed over rows of a later time, as after the copy: stale rows give way and come back', async () => {
  for (const lanes of [false, true]) {
    const database = await pair.database(`future_${lanes}`, TABLES);
    await database.run(...ROUNDS.slice(0, 8));
    if (lanes) await backlog(database, 1000);
    // The copy sees what is there now; the stream goes on from before it, and beyond.
    await database.copyNow();
    await database.run(...ROUNDS.slice(8));
    await database.applyAll(false);
    await expectEqual(database);
  }
});

test.each(['utf8mb3_unicode_ci', 'utf8mb4_0900_ai_ci', 'latin1_swedish_ci', 'utf16_unicode_ci'])(
  'a stale row gives way to a text that is equal to its own by %s and not ASCII',
  async (collation) => {
    const text = `VARCHAR(20) CHARACTER SET ${collation.split('_')[0]} COLLATE ${collation}`;
    const database = await pair.database(`stale_${collation}`, [
      `CREATE TABLE k (id ${text} PRIMARY KEY, u ${text} UNIQUE)`,
      `CREATE TABLE p (id ${text} PRIMARY KEY, u ${text}, UNIQUE (u(2)))`,
    ]);
    const row = (id: string, u: string) => `INSERT INTO k VALUES (${quoteText(id)}, ${quoteText(u)})`;
    await database.run([row('äé', '"ÖÄ')]);
    await database.run([row('äé', '"ÖÄ').replace(' k ', ' p ')]);
    await pair.target.batch([`USE ${database.name}`, row('ÄÉ', 'x'), row('y', '"öä')]);
    await pair.target.write(row('y', '"öx').replace(' k ', ' p '));
    await database.applyAll(false);
    for (const table of ['k', 'p'])
      expect(await database.rows('target', table)).toEqual(await database.rows('source', table));
  },
);

test('each transaction replayed over the rows of the end', async () => {
  const database = await pair.database('end', TABLES);
  for (const round of ROUNDS) {
    await database.run(round);
    await database.barrier();
  }
  await database.copyNow();
  await database.applyAll(false);
  await expectEqual(database);
});

test('two values that only the target takes for equal stop the stream, and no row is lost', async () => {
  const columns = (collation: string) => [
    `CREATE TABLE u (id INT PRIMARY KEY, u VARCHAR(20) COLLATE ${collation} UNIQUE)`,
    `CREATE TABLE k (id VARCHAR(20) COLLATE ${collation} PRIMARY KEY, v INT)`,
  ];
  for (const exact of [true, false]) {
    const database = await pair.database(`collation_${exact}`, columns('utf8mb4_bin'), columns('utf8mb4_0900_ai_ci'));
    await database.run(["INSERT INTO u VALUES (1, 'a'), (2, 'b')", "INSERT INTO k VALUES ('a', 1)"]);
    // Gone again at once: nothing of 'a' may go with it.
    await database.run(["INSERT INTO k VALUES ('A', 2)", "DELETE FROM k WHERE id='A'"]);
    await database.applyAll(exact);
    expect(await database.rows('target', 'k')).toEqual(['a|1']);
    for (const [statement, table, key, column] of [
      ["UPDATE u SET u='A' WHERE id=2", 'u', '(2)', 'u'],
      ["INSERT INTO k VALUES ('A', 3)", 'k', '(A)', 'id'],
    ] as const) {
      await database.run([statement]);
      await expect(database.applyAll(exact)).rejects.toMatchObject({
        code: 'APPLY_ROW_CONFLICT',
        details: { table, key, column },
      });
      expect(await database.rows('target', 'u')).toEqual(['1|a', '2|b']);
      expect(await database.rows('target', 'k')).toEqual(['a|1']);
      await database.progress.reset(pair.target, (await pair.position()).toString());
    }
  }
});

test('a stale row gives way in a key over an expression while the source has columns that the target is still to get', async () => {
  const database = await pair.database('ahead', ['CREATE TABLE e (id INT PRIMARY KEY, v INT, UNIQUE x ((v DIV 2)))']);
  const onDdl = ddlHandler({
    world: { log: () => {} },
    journal: new DdlJournal({
      origin: pair.source.server,
      destination: pair.target.server,
      importId: 'ahead',
      direction: 'forward',
    }),
    destination: 'target',
    policy: 'EXEC',
    decisionOn: () => undefined,
  });
  await database.applyAll(false, undefined, onDdl);
  await database.run(['INSERT INTO e VALUES (1, 10)'], ['UPDATE e SET v=20'], ['INSERT INTO e VALUES (2, 11)']);
  await database.copyNow();
  await pair.source.write('ALTER TABLE ahead.e ADD COLUMN first INT DEFAULT 7 FIRST');
  await database.applyAll(false, undefined, onDdl);
  expect(await database.rows('target', 'e')).toEqual(await database.rows('source', 'e'));
});

test('two rows that are one in a key over a prefix or an expression of the target alone stop the stream, and none is lost', async () => {
  const cases: [origin: string, target: string][] = [
    ['u VARCHAR(20) COLLATE utf8mb4_bin, UNIQUE x (u(2))', 'u VARCHAR(20) COLLATE utf8mb4_0900_ai_ci, UNIQUE x (u(2))'],
    ['u VARCHAR(20), UNIQUE x (u(3))', 'u VARCHAR(20), UNIQUE x (u(2))'],
    ['u VARCHAR(20), UNIQUE x ((CONCAT(u, 1)))', 'u VARCHAR(20), UNIQUE x ((LEFT(u, 2)))'],
    [
      'u VARCHAR(20) COLLATE utf8mb4_bin, UNIQUE x ((CONCAT(u, 1)))',
      'u VARCHAR(20) COLLATE utf8mb4_0900_ai_ci, UNIQUE x ((CONCAT(u, 1)))',
    ],
    [
      'u VARCHAR(20) COLLATE utf8mb4_bin, g VARCHAR(9) COLLATE utf8mb4_bin AS (u), UNIQUE x (g)',
      'u VARCHAR(20) COLLATE utf8mb4_bin, g VARCHAR(9) COLLATE utf8mb4_0900_ai_ci AS (u), UNIQUE x (g)',
    ],
    // Somebody has given the target a key that the source does not have.
    ['u VARCHAR(20)', 'u VARCHAR(20), UNIQUE x (u(2))'],
    ['u VARCHAR(20)', 'u VARCHAR(20), UNIQUE x (u)'],
  ];
  for (const [index, [origin, target]] of cases.entries()) {
    const table = (columns: string) => `CREATE TABLE t (id INT PRIMARY KEY, ${columns})`;
    const database = await pair.database(`two_rows_${index}`, [table(origin)], [table(target)]);
    const other = target.endsWith('UNIQUE x (u)') ? 'abc' : target.includes('_ai_ci') ? 'ABC' : 'abd';
    await database.run(["INSERT INTO t (id, u) VALUES (1, 'abc')"]);
    await database.applyAll(false);
    await database.run([`INSERT INTO t (id, u) VALUES (2, '${other}')`]);
    await expect(database.applyAll(false), target).rejects.toMatchObject({
      code: 'APPLY_ROW_CONFLICT',
      details: { table: 't', key: '(2)', holder: '(1)' },
    });
    expect(
      (await database.rows('target', 't')).map((row) => row.slice(0, 5)),
      target,
    ).toEqual(['1|abc']);
  }
});

test('rows of one window that collide are real, whatever the origin says of their key by now', async () => {
  const table = (prefix: number) => `CREATE TABLE t (id INT PRIMARY KEY, u VARCHAR(20), UNIQUE x (u(${prefix})))`;
  const database = await pair.database('since_altered', [table(3)], [table(2)]);
  await database.run(["INSERT INTO t VALUES (1, 'abc'), (2, 'abd')"]);
  await pair.source.write('ALTER TABLE t COMMENT "of another window"');
  await pair.source.write('DELETE FROM t WHERE id=1');
  await pair.source.write('ALTER TABLE t DROP KEY x, ADD UNIQUE x (u(2))');
  await expect(database.applyAll(false)).rejects.toMatchObject({ code: 'APPLY_ROW_CONFLICT', details: { key: '(2)' } });
  expect(await database.rows('target', 't')).toEqual([]);
});

test('exactly: what somebody else did on the target is found, whatever the change of the source', async () => {
  const cases: [change: string, code: string, details: object][] = [
    ['UPDATE n SET v=9 WHERE id=1', 'APPLY_ROW_MISSING', { table: 'n', key: '(1)' }],
    ['DELETE FROM n WHERE id=1', 'APPLY_ROW_MISSING', { table: 'n', key: '(1)' }],
    ['INSERT INTO n VALUES (7, 7)', 'APPLY_ROW_CONFLICT', { table: 'n', key: '(7)', column: 'id' }],
    ["UPDATE u SET u='b' WHERE id=1", 'APPLY_ROW_MISSING', { table: 'u', key: '(1)' }],
    ["INSERT INTO u VALUES (8, 'seven', 1)", 'APPLY_ROW_CONFLICT', { table: 'u', key: '(8)', column: 'u' }],
  ];
  const database = await pair.database('foreign_writes', TABLES);
  await database.run(['INSERT INTO n VALUES (1, 1), (2, 2)', "INSERT INTO u VALUES (1, 'a', 1), (2, 'z', 1)"]);
  await database.applyAll(true);
  await pair.target.batch([
    'USE foreign_writes',
    'DELETE FROM n WHERE id=1',
    'INSERT INTO n VALUES (7, 0)',
    'DELETE FROM u WHERE id=1',
    "INSERT INTO u VALUES (7, 'seven', 0)",
  ]);
  for (const [change, code, details] of cases) {
    await database.run([change]);
    await expect(database.applyAll(true), change).rejects.toMatchObject({ code, details });
    await database.progress.reset(pair.target, (await pair.position()).toString());
  }
  // What is right goes on.
  await database.run(['UPDATE n SET v=3 WHERE id=2', 'UPDATE n SET v=2 WHERE id=2', "UPDATE u SET u='Z' WHERE id=2"]);
  await database.applyAll(true);
  expect(await database.rows('target', 'n')).toEqual(['2|2', '7|0']);
});

test.each(['lanes.written', 'lanes.committed', 'lanes.ended'])(
  'killed at %s: nothing is told to be applied before the stream is past what lanes had written; then rows are equal',
  async (step) => {
    const database = await pair.database(step.replace('.', '_'), TABLES);
    await database.run([`INSERT INTO n VALUES (${HELD}, 0)`], ...ROUNDS.slice(0, 12));
    await backlog(database, 1000);
    await database.run(...ROUNDS.slice(12));
    await backlog(database, 10_000, BEHIND);
    const folder = mkdtempSync(path.join(tmpdir(), 'switchyard-'));
    const marker = path.join(folder, step);
    const task = {
      importId: database.name,
      origin: pair.source.server,
      destination: pair.target.server,
      database: database.name,
    };
    const child = await pair.withAllWaiting(database.name, HELD, () =>
      spawn(
        process.execPath,
        [fileURLToPath(new URL('../support/replication-process.ts', import.meta.url)), JSON.stringify(task)],
        {
          env: { ...process.env, SWITCHYARD_FAILPOINTS: `${step}=kill:${marker}` },
          stdio: ['ignore', 'inherit', 'inherit'],
        },
      ),
    );
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    expect(existsSync(marker)).toBe(true);
    rmSync(folder, { recursive: true });

    const position = parsePosition('mysql', (await database.progress.read(pair.target)) ?? '');
    const ahead = lanesAhead('mysql', position, await database.progress.lanePositions(pair.target));
    expect(ahead.length > 0).toBe(step === 'lanes.committed');
    const replication = database.follow(true);
    if (ahead[0] !== undefined) {
      await replication.waitFor(position, AbortSignal.timeout(30_000));
      // `position` alone was applied all along; yet the first that is told covers the lanes.
      expect(replication.applied?.covers(ahead[0])).toBe(true);
    }
    await replication.waitFor(await pair.position(), AbortSignal.timeout(30_000));
    await replication.stop();
    await expectEqual(database);
  },
);
