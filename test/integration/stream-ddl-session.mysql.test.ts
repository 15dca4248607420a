import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { bytesOf, ServerConnection, type Bytes } from '../../engine/server/connection.ts';
import { executedPosition } from '../../engine/server/position.ts';
import { createSidecar, ProgressRow } from '../../engine/sidecar.ts';
import { startServerPair } from '../../servers/start-server.ts';
import { definitionOf } from '../support/stream-fixture.ts';
import { applyDdl } from '../support/ddl-replication.ts';

/** What a DDL statement does to rows that are there depends on the session that ran it, and on when it did. */
let pair: Awaited<ReturnType<typeof startServerPair>>;
let source: ServerConnection;
let target: ServerConnection;
let schema: string;

/** Zones that the source knows and the target does not: one with a summer time, one without. */
const ZONES = [
  "INSERT INTO mysql.time_zone VALUES (101, 'N'), (102, 'N')",
  "INSERT INTO mysql.time_zone_name VALUES ('Test/Summer', 101), ('Test/Plain', 102)",
  "INSERT INTO mysql.time_zone_transition_type VALUES (101, 0, 3600, 0, 'W'), (101, 1, 7200, 1, 'S'), (102, 0, 19800, 0, 'P')",
  'INSERT INTO mysql.time_zone_transition VALUES (101, 1711846800, 1), (101, 1729990800, 0)',
];

beforeAll(async () => {
  pair = await startServerPair();
  source = await ServerConnection.open(definitionOf(pair.source));
  for (const statement of ZONES) await source.write(statement);
  target = await ServerConnection.open(definitionOf(pair.target));
  await createSidecar(target);
});

afterAll(async () => {
  await source?.close();
  await target?.close();
  await pair?.[Symbol.asyncDispose]();
});

let number = 0;
beforeEach(async () => {
  number += 1;
  schema = `session${number}`;
  for (const connection of [source, target]) {
    await connection.write(`CREATE DATABASE ${schema}`);
    await connection.write(
      `CREATE TABLE ${schema}.${bytesOf('`téble`')} (id INT PRIMARY KEY, d DATETIME, s VARCHAR(20), f DATETIME(3), v INT)`,
    );
  }
  await new ProgressRow(schema, 'forward').reset(target, (await executedPosition(source, 'mysql')).toString());
  await replicate();
  await source.write(
    `INSERT INTO ${schema}.${bytesOf('`téble`')} VALUES (0, '2024-07-01 12:00:00', 'a', '2024-01-01 00:00:00.700', 1), (5, '2024-01-01 00:00:00', '1000', '2024-01-01 00:00:00.400', 2)`,
  );
});

/** Until everything is applied; rejects with what stops it. */
async function replicate(): Promise<void> {
  await applyDdl({ source, target, database: schema });
}

async function contents(connection: ServerConnection): Promise<unknown> {
  const name = `${schema}.${bytesOf('`téble`')}`;
  return {
    rows: await connection.rows(`SELECT * FROM ${name} ORDER BY 1`),
    definition: (await connection.rows(`SHOW CREATE TABLE ${name}`))[0]?.[1]?.replace(/ AUTO_INCREMENT=\d+/, ''),
  };
}

const TABLE = bytesOf('`téble`');
const RAW = "SET SESSION session_track_system_variables=''";

async function runOnSource(settings: Bytes[], statement: Bytes, database = schema): Promise<void> {
  await using connection = await ServerConnection.open(definitionOf(pair.source), { database });
  for (const setting of settings) await connection.write(setting);
  await connection.write(statement);
}

/** A statement that is run when the clock has gone on. */
async function laterThan(connection: ServerConnection): Promise<void> {
  const now = async () => (await connection.rows('SELECT NOW()'))[0]?.[0];
  const before = await now();
  while ((await now()) === before) await connection.write('DO SLEEP(0.05)');
}

test.each<[what: string, settings: Bytes[], statement: Bytes]>([
  ['its time', [], `ALTER TABLE ${TABLE} ADD COLUMN c DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)`],
  [
    'a time that was set',
    ['SET timestamp=1700000000.25', "SET time_zone='+03:00'"],
    `ALTER TABLE ${TABLE} ADD COLUMN c DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)`,
  ],
  [
    'time zone of a literal',
    ["SET time_zone='+05:45'"],
    `ALTER TABLE ${TABLE} ADD COLUMN c TIMESTAMP NOT NULL DEFAULT '2024-01-01 00:00:00'`,
  ],
  ['time zone of a conversion', ["SET time_zone='-07:00'"], `ALTER TABLE ${TABLE} MODIFY d TIMESTAMP NULL`],
  ['a zone that the target lacks', ["SET time_zone='Test/Plain'"], `ALTER TABLE ${TABLE} MODIFY d TIMESTAMP NULL`],
  [
    'a zone with a summer time that the target lacks, without a TIMESTAMP',
    ["SET time_zone='Test/Summer'", 'SET timestamp=1720000000'],
    `ALTER TABLE ${TABLE} ADD COLUMN c DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP`,
  ],
  ['the zone of the server', ["SET time_zone='SYSTEM'"], `ALTER TABLE ${TABLE} MODIFY d TIMESTAMP NULL`],
  [
    'charset of the client',
    [RAW, 'SET NAMES latin1'],
    "ALTER TABLE `t\xe9ble` ADD COLUMN `\xe5` VARCHAR(10) NOT NULL DEFAULT '\xe9\x80', ADD COLUMN b VARBINARY(9) DEFAULT '\xe9', COMMENT '\xfc'",
  ],
  ['charset of the client: TRUNCATE', [RAW, 'SET NAMES latin1'], 'TRUNCATE `t\xe9ble`'],
  [
    'charset of the client, with a backslash within a character',
    [RAW, 'SET NAMES gbk'],
    "ALTER TABLE `t\xa8\xa6ble` ADD COLUMN c VARCHAR(9) NOT NULL DEFAULT '\xd6\x5c', COMMENT '\xd6\x5c'",
  ],
  [
    'ANSI_QUOTES',
    ["SET sql_mode='ANSI_QUOTES'"],
    bytesOf(`ALTER TABLE "téble" ADD COLUMN "c" VARCHAR(9) NOT NULL DEFAULT 'x"y'`),
  ],
  [
    'NO_BACKSLASH_ESCAPES',
    ["SET sql_mode='NO_BACKSLASH_ESCAPES'"],
    `ALTER TABLE ${TABLE} ADD COLUMN c VARCHAR(9) NOT NULL DEFAULT 'a\\b', COMMENT '\\'`,
  ],
  [
    'PIPES_AS_CONCAT',
    ["SET sql_mode='PIPES_AS_CONCAT'"],
    `ALTER TABLE ${TABLE} ADD COLUMN c VARCHAR(40) AS (s || 'x')`,
  ],
  ['REAL_AS_FLOAT', ["SET sql_mode='REAL_AS_FLOAT'"], `ALTER TABLE ${TABLE} ADD COLUMN c REAL`],
  ['fractions cut off', ["SET sql_mode='TIME_TRUNCATE_FRACTIONAL'"], `ALTER TABLE ${TABLE} MODIFY f DATETIME`],
  ['zero in AUTO_INCREMENT', ["SET sql_mode=''"], `ALTER TABLE ${TABLE} MODIFY id INT AUTO_INCREMENT`],
  [
    'steps of AUTO_INCREMENT',
    ['SET auto_increment_increment=7, auto_increment_offset=3'],
    `ALTER TABLE ${TABLE} ADD COLUMN n INT AUTO_INCREMENT UNIQUE`,
  ],
  ['implicit TIMESTAMP', ['SET explicit_defaults_for_timestamp=0'], `ALTER TABLE ${TABLE} ADD COLUMN c TIMESTAMP`],
  [
    'default collation',
    ['SET default_collation_for_utf8mb4=utf8mb4_general_ci'],
    `ALTER TABLE ${TABLE} ADD COLUMN c VARCHAR(9) CHARACTER SET utf8mb4`,
  ],
  ['values that do not fit', ["SET sql_mode=''"], `ALTER TABLE ${TABLE} MODIFY s TINYINT NOT NULL`],
])('DDL does what it did in the session of the source: %s', async (_, settings, statement) => {
  await runOnSource(settings, statement);
  await laterThan(source);
  await replicate();
  expect(await contents(target)).toEqual(await contents(source));
});

test('a time zone that the target does not have stops the stream where it would change values', async () => {
  await runOnSource(["SET time_zone='Test/Summer'"], `ALTER TABLE ${TABLE} MODIFY d TIMESTAMP NULL`);
  await expect(replicate()).rejects.toMatchObject({
    code: 'DDL_FAILED',
    message: expect.stringContaining('time zone Test/Summer'),
  });
});

test('names without a schema are of the default schema of the session', async () => {
  for (const connection of [source, target]) await connection.write('CREATE DATABASE IF NOT EXISTS elsewhere');
  await runOnSource([], `RENAME TABLE ${schema}.${TABLE} TO moved`, 'elsewhere');
  await replicate();
  expect(await target.rows('SELECT id FROM elsewhere.moved ORDER BY id')).toEqual([['0'], ['5']]);
  await source.write('CREATE DATABASE of_source');
  await runOnSource([], `RENAME TABLE elsewhere.moved TO ${schema}.${TABLE}`, 'of_source');
  await replicate();
  expect(await contents(target)).toEqual(await contents(source));
});
