import { describe, expect, test } from 'vitest';
import { DdlJournal } from '../../engine/ddl/ddl-journal.ts';
import { ddlHandler } from '../../engine/ddl/ddl-policy.ts';
import { quoteText, ServerConnection } from '../../engine/server/connection.ts';
import { readDurable } from '../../engine/sidecar.ts';
import { ApplyPair } from '../support/apply-pair.ts';

/** Keys that cannot be looked up by value, with MariaDB on either side. */
const TABLES = [
  'CREATE TABLE n (id INT PRIMARY KEY, v INT)',
  'CREATE TABLE prefix (id INT PRIMARY KEY, u VARCHAR(20) COLLATE utf8mb4_general_ci, d TEXT, UNIQUE (u(2)), UNIQUE (d(3)))',
  'CREATE TABLE bytes (id INT PRIMARY KEY, b VARBINARY(20), UNIQUE (b(2)))',
  'CREATE TABLE kept (id INT PRIMARY KEY, u VARCHAR(20) COLLATE utf8mb4_general_ci, g VARCHAR(21) COLLATE utf8mb4_general_ci AS (CONCAT(u, 1)) STORED UNIQUE)',
  'CREATE TABLE computed (id INT PRIMARY KEY, u VARCHAR(20) COLLATE utf8mb4_general_ci, g VARCHAR(21) COLLATE utf8mb4_general_ci AS (CONCAT(u, 1)) VIRTUAL UNIQUE)',
  'CREATE TABLE years (y YEAR, z FLOAT, u VARCHAR(20), PRIMARY KEY (y, z), UNIQUE (u(2)))',
];
const ROUNDS = [
  [
    "INSERT INTO prefix VALUES (1, 'ab1', 'xyz1'), (2, 'cd1', 'uvw1')",
    "INSERT INTO bytes VALUES (1, 'ab1'), (2, 'cd1')",
    "INSERT INTO kept (id, u) VALUES (1, 'ab'), (2, 'cd')",
    "INSERT INTO computed (id, u) VALUES (1, 'ab'), (2, 'cd')",
    "INSERT INTO years VALUES (0, 0.1, 'ab1'), (2020, -0.0, 'cd1')",
  ],
  ...['prefix', 'bytes', 'kept', 'computed', 'years'].map((table) => {
    const column = table === 'bytes' ? 'b' : 'u';
    const [one, two] = table === 'years' ? ['y=0', 'y=2020'] : ['id=1', 'id=2'];
    return [
      `UPDATE ${table} SET ${column}=NULL WHERE ${one}`,
      `UPDATE ${table} SET ${column}='ab' WHERE ${two}`,
      `UPDATE ${table} SET ${column}='cd' WHERE ${one}`,
    ];
  }),
  [
    'UPDATE prefix SET d=NULL WHERE id=1',
    "UPDATE prefix SET d='xyZ2' WHERE id=2",
    "UPDATE prefix SET d='UVw2' WHERE id=1",
  ],
];

describe.each([
  { source: 'mariadb-11.8', target: 'mysql-9.7' },
  { source: 'mysql-9.7', target: 'mariadb-11.8' },
] as const)('$source to $target', (flavors) => {
  test('each transaction replayed over the rows of the end', async () => {
    await using pair = await ApplyPair.start(flavors);
    const database = await pair.database('end', TABLES);
    for (const round of ROUNDS) {
      await database.run(round);
      await database.barrier();
    }
    await database.copyNow();
    await database.applyAll(false);
    for (const table of ['prefix', 'bytes', 'kept', 'computed', 'years'])
      expect(await database.rows('target', table), table).toEqual(await database.rows('source', table));
  });

  test('two rows that are one for a prefix on the target alone stop the stream, and none is lost', async () => {
    await using pair = await ApplyPair.start(flavors);
    const table = (collation: string) =>
      `CREATE TABLE t (id INT PRIMARY KEY, u VARCHAR(20) COLLATE ${collation}, UNIQUE (u(2)))`;
    const database = await pair.database('two', [table('utf8mb4_bin')], [table('utf8mb4_general_ci')]);
    await database.run(["INSERT INTO t VALUES (1, 'ab1')"]);
    await database.applyAll(false);
    await database.run(["INSERT INTO t VALUES (2, 'AB2')"]);
    await expect(database.applyAll(false)).rejects.toMatchObject({
      code: 'APPLY_ROW_CONFLICT',
      details: { table: 't', key: '(2)', holder: '(1)' },
    });
    expect(await database.rows('target', 't')).toEqual(['1|ab1']);
  });
});

describe.each(['mariadb-10.11', 'mariadb-11.8'] as const)('XA transactions of %s', (source) => {
  test('prepared while the stream begins anew: behind DDL, after a restart, one after the other', async () => {
    await using pair = await ApplyPair.start({ source });
    const database = await pair.database('xa', [
      'CREATE TABLE n (id INT PRIMARY KEY, v INT)',
      'CREATE TABLE t (id INT PRIMARY KEY)',
    ]);
    const stored = async () => {
      const [row] = await pair.target.rows("SELECT position FROM _switchyard.progress WHERE import_id='xa'");
      return readDurable(row?.[0] ?? '');
    };
    const prepare = async (xid: string, id: number) => {
      const session = await ServerConnection.open(pair.source.server, { database: 'xa' });
      for (const sql of [`XA START '${xid}'`, `INSERT INTO t VALUES (${id})`, `XA END '${xid}'`])
        await session.write(sql);
      await session.write(`XA PREPARE '${xid}'`);
      return session;
    };
    await database.run(['INSERT INTO n VALUES (1, 0)']);
    await using older = await prepare('older', 2);
    await database.barrier();
    await database.run(['UPDATE n SET v=1']);
    await database.applyAll(true);
    await using newer = await prepare('newer', 3);
    await database.run(['UPDATE n SET v=2'], ['DELETE FROM n WHERE id=1'], ['INSERT INTO n VALUES (4, 0)']);
    await database.applyAll(true);
    expect(await database.rows('target', 't')).toEqual([]);
    await older.write("XA COMMIT 'older'");
    await database.applyAll(true);
    expect(await database.rows('target', 't')).toEqual(['2']);
    expect((await stored()).readFrom).toMatch(/^[\d-]+$/);
    await newer.write("XA COMMIT 'newer'");
    await database.applyAll(true);
    await database.run(['UPDATE t SET id=id+10']);
    await database.applyAll(true);
    expect(await database.rows('target', 't')).toEqual(['12', '13']);
    expect(await database.rows('target', 'n')).toEqual(['4|0']);
    expect(await stored()).toMatchObject({ position: (await pair.position()).toString(), readFrom: undefined });
  });
});

/** Other text of the same document, or of one like it: members in another order or twice, escapes, numbers. */
const DOCUMENTS = ['{"b":1,  "a":2, "b":3}', '"\\u00e4\\/"', '[1.0, 1e2]', '{"": [], "__proto__": "x"}'];

describe.each([
  { source: 'mariadb-10.11', target: 'mysql-9.7' },
  { source: 'mariadb-11.8', target: 'mysql-9.7' },
  { source: 'mysql-9.7', target: 'mariadb-11.8' },
] as const)('DDL of $source for $target', (flavors) => {
  test('JSON is what the origin has, as the copy makes it', async () => {
    await using pair = await ApplyPair.start(flavors);
    const database = await pair.database('json', ['CREATE TABLE t (id INT PRIMARY KEY)']);
    const onDdl = ddlHandler({
      world: { log: () => {} },
      journal: new DdlJournal({
        origin: pair.source.server,
        destination: pair.target.server,
        importId: 'json',
        direction: 'forward',
      }),
      destination: 'target',
      policy: 'EXEC',
      decisionOn: () => undefined,
    });
    const table = 'CREATE TABLE t (id INT PRIMARY KEY, `j s` JSON NOT NULL, json JSON COMMENT "JSON")';
    for (const statements of [['ALTER TABLE t ADD `j s` JSON, ADD json JSON DEFAULT NULL'], ['DROP TABLE t', table]]) {
      for (const statement of statements) await pair.source.write(statement);
      await database.applyAll(true, undefined, onDdl);
      const rows = DOCUMENTS.map((text, id) => `(${id}, ${quoteText(text)}, ${quoteText(text)})`);
      await database.run(
        [`INSERT INTO t VALUES ${rows.join(',')}`],
        [`UPDATE t SET json=${quoteText('[ 1 ]')} WHERE id=1`],
      );
      await database.applyAll(true, undefined, onDdl);
      expect(await database.rows('target', 't')).toEqual(await database.rows('source', 't'));
      if (pair.family === 'mariadb') expect((await database.rows('target', 't'))[0]).toContain(DOCUMENTS[0]);
    }
    await expect(pair.target.write("INSERT INTO json.t VALUES (9, '{', NULL)")).rejects.toMatchObject({
      code: 'SERVER_ERROR',
    });
  });
});
