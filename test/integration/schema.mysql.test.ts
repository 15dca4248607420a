import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addDeferredIndexes, addForeignKeys } from '../../engine/copy/deferred-parts.ts';
import { comparand, insertColumns, literal, normalizer, selectExpression } from '../../engine/schema/column-sql.ts';
import { createSchema, createTable, openForDdl, targetDdls } from '../../engine/schema/create-target.ts';
import { isHarmlessWarning } from '../../engine/schema/harmless-warning.ts';
import { inspectTables, serverFacts } from '../../engine/schema/inspect.ts';
import type { Column, Table } from '../../engine/schema/table.ts';
import { bytesOf, ServerConnection } from '../../engine/server/connection.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { definitionOf } from '../support/stream-fixture.ts';
import { hexRows } from '../support/exact-form.ts';
import { zooOf } from '../support/zoo/zoo.ts';

let mysql: RunningServer;
let target: RunningServer;
let mariadb: RunningServer;

beforeAll(async () => {
  [mysql, target, mariadb] = await Promise.all([
    startServer({ flavor: 'mysql-9.7', role: 'source' }),
    startServer({ flavor: 'mysql-9.7', role: 'target' }),
    startServer({ flavor: 'mariadb-11.8', role: 'source' }),
  ]);
});

afterAll(async () => {
  for (const server of [mysql, target, mariadb]) await server[Symbol.asyncDispose]();
});

async function connect(server: RunningServer, session: string[] = []): Promise<ServerConnection> {
  return await ServerConnection.open(definitionOf(server), { session });
}

async function one(connection: ServerConnection, schema: string, name: string): Promise<Table> {
  const [table] = await inspectTables(connection, schema, [name]);
  if (table === undefined) throw new Error('no table');
  return table;
}

function columnOf(table: Table, name: string): Column {
  const column = table.columns.find((column) => column.name === name);
  if (column === undefined) throw new Error(`no column ${name}`);
  return column;
}

test('facts tell flavours and servers apart', async () => {
  await using a = await connect(mysql);
  await using b = await connect(target);
  await using c = await connect(mariadb);
  const [here, there, other] = [await serverFacts(a), await serverFacts(b), await serverFacts(c)];
  expect([here.flavor, other.flavor]).toEqual(['mysql', 'mariadb']);
  expect(here.serverUuid).not.toBe(there.serverUuid);
  expect(other.serverUuid).not.toBe('');
});

test.each(['mysql-9.7', 'mariadb-11.8'])(
  'a table that is dropped while tables are looked at on %s is left out',
  async (flavor) => {
    const server = flavor === 'mysql-9.7' ? mysql : mariadb;
    await using connection = await connect(server);
    await using other = await connect(server);
    await connection.write('CREATE DATABASE fleeting');
    for (const name of ['a', 'b', 'c']) await connection.write(`CREATE TABLE fleeting.${name} (id INT PRIMARY KEY)`);
    // Dropped when it has been listed, just before its own definition is asked for.
    const racing = new Proxy(connection, {
      get: (inner, name) => {
        if (name !== 'rows') return Reflect.get(inner, name, inner).bind(inner);
        return async (sql: string) => {
          if (sql.includes('SHOW CREATE TABLE `fleeting`.`b`')) await other.write('DROP TABLE IF EXISTS fleeting.b');
          return await inner.rows(sql);
        };
      },
    });
    expect((await inspectTables(racing, 'fleeting', 'all')).map(({ name }) => name)).toEqual(['a', 'c']);
    await connection.write('CREATE TABLE fleeting.b (id INT PRIMARY KEY)');
    await expect(inspectTables(racing, 'fleeting', ['a', 'b'])).rejects.toMatchObject({
      code: 'TABLE_UNKNOWN',
      details: { missing: ['b'] },
    });
  },
);

describe.each(['mysql-9.7', 'mariadb-11.8'] as const)('values on %s', (flavor) => {
  const server = () => (flavor === 'mysql-9.7' ? mysql : mariadb);

  beforeAll(async () => {
    await using connection = await connect(server());
    await connection.write('CREATE DATABASE zoo CHARACTER SET utf8mb4');
  });

  test.each(Object.entries(zooOf(flavor)))('%s: what is read is assigned again, and found', async (_, types) => {
    await using connection = await connect(server(), ["SET SESSION sql_mode = 'ALLOW_INVALID_DATES'"]);
    for (const { name, type, values, key } of types) {
      const index = key ? ', KEY k (v)' : '';
      for (const table of ['v', 'again'])
        await connection.write(
          `CREATE TABLE zoo.${table}_${name} (id INT PRIMARY KEY, v ${type}${index}) CHARACTER SET utf8mb4`,
        );
      const rows = [...values, 'NULL'].map((value, id) => `(${id},${value})`).join(',');
      await connection.write(`INSERT INTO zoo.v_${name} VALUES ${rows}`);
      const table = await one(connection, 'zoo', `v_${name}`);
      const column = columnOf(table, 'v');
      const read = await connection.rows(`SELECT ${selectExpression(column)} FROM zoo.v_${name} ORDER BY id`);
      const canonical = read.map(([value]) => (value == null ? null : (normalizer(column)?.(value) ?? value)));
      const assign = literal(column);
      const { warnings } = await connection.write(
        `INSERT INTO zoo.again_${name} VALUES ${canonical.map((value, id) => `(${id},${assign(value)})`).join(',')}`,
      );
      const texts = warnings === 0 ? [] : await connection.warnings(warnings);
      // Index 0 of an ENUM has to be a number where '0' would be a member; the server warns, and stores it.
      if (column.dataType !== 'enum') expect(texts.filter((text) => !isHarmlessWarning(text))).toEqual([]);
      // JSON by its text: a SELECT does not tell the types that JSON text lacks.
      const exact = await hexRows(connection, await one(connection, 'zoo', `again_${name}`));
      if (column.dataType !== 'json') expect(exact).toEqual(await hexRows(connection, table));
      if (!key) continue;
      const compare = comparand(column);
      for (const [id, value] of canonical.entries()) {
        const found = await connection.rows(`SELECT id FROM zoo.v_${name} WHERE v <=> ${compare(value)}`);
        expect([name, ...found.flat()]).toContain(String(id));
      }
      const traditional = flavor === 'mysql-9.7' ? 'FORMAT=TRADITIONAL ' : '';
      const plan = await connection.selectOne<{ type: string; key: string | null }>(
        `EXPLAIN ${traditional}SELECT id FROM zoo.v_${name} WHERE v = ${compare(canonical.at(-2) ?? '')}`,
      );
      expect([name, plan]).toMatchObject([name, { type: 'ref', key: 'k' }]);
    }
  });
});

test('the key of a table: primary, else the best whole unique NOT NULL one, else none', async () => {
  await using connection = await connect(mysql);
  await connection.write('CREATE DATABASE keyed');
  await connection.write('USE keyed');
  const keyOf = async (columns: string) => {
    await connection.write('DROP TABLE IF EXISTS t');
    await connection.write(`CREATE TABLE t (${columns})`);
    const table = await one(connection, 'keyed', 't');
    return table.key === null
      ? null
      : {
          name: table.key.name,
          columns: table.key.columns.map((ordinal) => table.columns[ordinal]?.name),
          others: table.uniqueKeys.map(({ name }) => name),
        };
  };
  expect(await keyOf('a INT, b INT, UNIQUE KEY u (a), PRIMARY KEY (b, a)')).toEqual({
    name: 'PRIMARY',
    columns: ['b', 'a'],
    others: ['u'],
  });
  expect(
    await keyOf('a VARCHAR(9) NOT NULL, b INT NOT NULL, c INT NOT NULL, UNIQUE KEY s (a), UNIQUE KEY n (b, c)'),
  ).toEqual({ name: 'n', columns: ['b', 'c'], others: ['s'] });
  expect(
    await keyOf('a INT NOT NULL, b VARCHAR(9) NOT NULL, UNIQUE KEY seen (b), UNIQUE KEY hidden (a) INVISIBLE'),
  ).toMatchObject({ name: 'seen' });
  expect(await keyOf('a INT NOT NULL, b INT, UNIQUE KEY hidden (a) INVISIBLE, PRIMARY KEY (b)')).toMatchObject({
    name: 'PRIMARY',
    others: ['hidden'],
  });
  expect(
    await keyOf(
      'a INT, b VARCHAR(9) NOT NULL, UNIQUE KEY nullable (a), UNIQUE KEY prefix (b(3)), UNIQUE KEY f ((LOWER(b)))',
    ),
  ).toBeNull();
});

test('generated and invisible columns keep their places; defaults that are expressions are no generated columns', async () => {
  await using connection = await connect(mysql);
  await connection.write('CREATE DATABASE columns_of');
  await connection.write(
    "CREATE TABLE columns_of.t (id INT PRIMARY KEY, v INT AS (id + 1), s INT AS (id + 2) STORED, h BIGINT UNSIGNED INVISIBLE, d VARCHAR(40) DEFAULT (UUID()), e ENUM('unsigned','zerofill'))",
  );
  const table = await one(connection, 'columns_of', 't');
  expect(table.columns.map(({ name, generated, unsigned }) => [name, generated, unsigned])).toEqual([
    ['id', null, false],
    ['v', 'virtual', false],
    ['s', 'stored', false],
    ['h', null, true],
    ['d', null, false],
    ['e', null, false],
  ]);
  expect(insertColumns(table).map(({ name }) => name)).toEqual(['id', 'h', 'd', 'e']);
});

test('an unknown table is an error', async () => {
  await using connection = await connect(mysql);
  await expect(inspectTables(connection, 'mysql', ['nothing'])).rejects.toMatchObject({ code: 'TABLE_UNKNOWN' });
});

async function rebuild(
  server: RunningServer,
  schema: string,
  deferIndexes: boolean,
): Promise<{ before: string[]; after: string[]; deferred: number }> {
  await using source = await connect(server);
  await using there = await openForDdl(definitionOf(target));
  // As large ones: small tables have their indexes from the start.
  const tables = (await inspectTables(source, schema, 'all')).map((table) => ({ ...table, bytes: 1e9 }));
  const ddls = await targetDdls(there, tables, deferIndexes);
  await createSchema(source, there, schema);
  for (const ddl of ddls) await createTable(there, ddl);
  const signal = new AbortController().signal;
  const options = { target: definitionOf(target), ddls, connections: 2, signal, onProgress: () => {} };
  // Twice: what exists is skipped.
  for (let run = 0; run < 2; run += 1) {
    await addDeferredIndexes(options);
    await addForeignKeys(options);
  }
  const built = await inspectTables(there, schema, 'all');
  const sorted = ({ createSql }: Table) =>
    createSql
      .split('\n')
      .map((line) => line.replace(/,$/, ''))
      .sort()
      .join('\n');
  return {
    before: tables.map(sorted),
    after: built.map(sorted),
    deferred: ddls.reduce(
      (sum, { indexes, fulltext, foreignKeys }) => sum + indexes.length + fulltext.length + foreignKeys.length,
      0,
    ),
  };
}

test('a MySQL schema is rebuilt to the letter, whatever was deferred', async () => {
  await using connection = await connect(mysql, ["SET SESSION collation_connection = 'utf8mb4_general_ci'"]);
  const statements = [
    'CREATE DATABASE `ge``baut é` CHARACTER SET latin1 COLLATE latin1_german1_ci',
    'USE `ge``baut é`',
    "CREATE TABLE parent (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) CHARACTER SET latin1 NOT NULL DEFAULT 'größe, KEY `x` (' COMMENT 'a''b\\\\c — ü', t TEXT CHARACTER SET latin1 COLLATE latin1_german1_ci, g POINT NOT NULL SRID 4326, UNIQUE KEY u (name), KEY k (name, id DESC), FULLTEXT KEY f1 (t), FULLTEXT KEY f2 (name), SPATIAL KEY s (g), KEY fn ((LOWER(name)))) AUTO_INCREMENT = 77",
    'CREATE TABLE child (a INT, id INT NOT NULL AUTO_INCREMENT, p BIGINT UNSIGNED, v INT AS (a * 2) STORED, h INT INVISIBLE, PRIMARY KEY (a, id), KEY auto (id), KEY fk_p (p), CONSTRAINT fk FOREIGN KEY (p) REFERENCES parent (id) ON DELETE SET NULL, CONSTRAINT ck CHECK (a > 0))',
    'CREATE TABLE parted (a INT PRIMARY KEY, b INT, KEY kb (b)) PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)',
    "CREATE TABLE `ü` (`größe` INT PRIMARY KEY, b BINARY(3) DEFAULT 'ab', e ENUM('ä','b,c') DEFAULT 'ä') CHARACTER SET utf8mb4",
  ];
  for (const statement of statements) await connection.write(bytesOf(statement));
  const schema = 'ge`baut é';
  const deferred = await rebuild(mysql, schema, true);
  expect(deferred.after).toEqual(deferred.before);
  expect(deferred.deferred).toBe(8);
  await using there = await connect(target);
  const [row] = await there.rows(
    bytesOf("SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'ge`baut é'"),
  );
  expect(row).toEqual(['latin1_german1_ci']);
  await there.write(bytesOf('DROP DATABASE `ge``baut é`'));
  const direct = await rebuild(mysql, schema, false);
  expect(direct.after).toEqual(direct.before);
  expect(direct.deferred).toBe(1);
});

test("a MariaDB schema becomes one of MySQL's", async () => {
  await using connection = await connect(mariadb, ["SET SESSION collation_connection = 'utf8mb4_general_ci'"]);
  for (const statement of [
    'CREATE DATABASE moved',
    "CREATE TABLE moved.t (id UUID NOT NULL DEFAULT uuid() PRIMARY KEY, ip INET6, at DATETIME(3) DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3), n INT NOT NULL DEFAULT (floor(rand() * 10)), x TEXT DEFAULT 'äbc', j JSON, z VARCHAR(9) COMPRESSED COLLATE utf8mb4_uca1400_swedish_ai_ci, p POINT, h INT INVISIBLE, g INT AS (n + 1) STORED, KEY (n), FULLTEXT KEY ft (x)) COLLATE utf8mb4_uca1400_ai_ci",
    'CREATE TABLE moved.m (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(9), KEY (v)) ENGINE=Aria PAGE_CHECKSUM=1',
    'CREATE TABLE moved.l (id INT PRIMARY KEY, v VARCHAR(9) CHARACTER SET latin1 COLLATE latin1_swedish_nopad_ci) ENGINE=MyISAM ROW_FORMAT=FIXED',
  ]) {
    await connection.write(bytesOf(statement));
  }
  await rebuild(mariadb, 'moved', true);
  await using there = await connect(target);
  const t = await one(there, 'moved', 't');
  expect(
    t.columns.map(({ name, columnType, collation, generated }) => [name, columnType, collation, generated]),
  ).toEqual([
    ['id', 'char(36)', 'ascii_bin', null],
    ['ip', 'varchar(39)', 'ascii_bin', null],
    ['at', 'datetime(3)', null, null],
    ['n', 'int', null, null],
    ['x', 'text', 'utf8mb4_0900_ai_ci', null],
    ['j', 'longtext', 'utf8mb4_bin', null],
    ['z', 'varchar(9)', 'utf8mb4_sv_0900_ai_ci', null],
    ['p', 'point', null, null],
    ['h', 'int', null, null],
    ['g', 'int', null, 'stored'],
  ]);
  expect(t.createSql).toContain("DEFAULT (_utf8mb4'äbc')");
  expect(t.createSql).toContain('FULLTEXT KEY `ft` (`x`)');
  for (const name of ['m', 'l']) expect((await one(there, 'moved', name)).createSql).toContain('ENGINE=InnoDB');
});

test('a definition that the target cannot take is named, and nothing is made', async () => {
  await using there = await openForDdl(definitionOf(target));
  await there.write('CREATE DATABASE IF NOT EXISTS refused');
  const table: Table = {
    schema: 'refused',
    name: 't',
    columns: [],
    key: null,
    uniqueKeys: [],
    createSql: 'CREATE TABLE `t` (\n  `a` int NOT NULL DEFAULT nextval(`s`.`q`)\n) ENGINE=InnoDB',
    rowsEstimate: 0,
    bytes: 0,
  };
  for (const createSql of [table.createSql, 'CREATE TABLE `t` (\n  `a` nonsense\n) ENGINE=InnoDB']) {
    const [ddl] = await targetDdls(there, [{ ...table, createSql }], true);
    await expect(createTable(there, ddl ?? expect.fail())).rejects.toMatchObject({ code: 'DDL_UNSUPPORTED' });
  }
  expect(await inspectTables(there, 'refused', 'all')).toEqual([]);
});
