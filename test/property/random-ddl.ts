import type { Family } from './column-kinds.ts';
import { refusedDdl } from './random-refused-ddl.ts';
import type { RandomTable } from './random-table.ts';
import type { SeededRandom } from './seeded-random.ts';

const q = (name: string) => `\`${name}\``;

export interface DdlStatements {
  /** How the session is set up that runs them: what they do to rows depends on it (ADR 17). */
  session: string[];
  sql: string[];
  /** See `scheduleSchema`. */
  mayStop: string[];
  /** Columns of one type change places: rows do not tell. */
  movesColumns: boolean;
}

export interface DdlOptions {
  family: Family;
  tables: readonly RandomTable[];
  /** Rows are being copied: see `checkDdlDuringCopy`. */
  duringCopy: boolean;
  /** An operator applies each statement without looking: no checks are left. */
  applied: boolean;
}

type Make = (random: SeededRandom, table: RandomTable, family: Family, tables: readonly RandomTable[]) => string[];

/** Statements that leave the columns that writers know; some fail, as those of applications do. */
export function randomDdl(random: SeededRandom, { family, tables, duringCopy, applied }: DdlOptions): DdlStatements {
  const table = random.pick(tables);
  if (random.chance(0.12) && !applied) return { ...refusedDdl(random, table, family), movesColumns: false };
  const make = random.weighted<Make>([
    [10, extraColumn],
    [4, indexes],
    [3, truncate],
    [2, options],
    ...(duringCopy
      ? []
      : ([
          [3, retype],
          [3, madeAnew],
          [3, thereAndBack],
          [2, uniqueness],
          [1, numbers],
          [2, otherForm],
          [2, otherKey],
          [2, goneAndBack],
          [1, swapped],
          [2, exchanged],
        ] as const)),
    [4, twins],
    [2, others],
    [2, madeLike],
    [2, hidden],
  ]);
  return {
    session: session(random, family),
    sql: make(random, table, family, tables),
    mayStop: [],
    movesColumns: make === twins,
  };
}

function session(random: SeededRandom, family: Family): string[] {
  const settings: string[] = [];
  if (random.chance(0.4)) settings.push(`time_zone='${random.pick(['+05:45', '-07:00', '+13:00', 'SYSTEM'])}'`);
  if (random.chance(0.3))
    settings.push(`sql_mode='${random.pick(['', 'ALLOW_INVALID_DATES', 'NO_BACKSLASH_ESCAPES', 'REAL_AS_FLOAT'])}'`);
  if (random.chance(0.2)) settings.push('auto_increment_increment=3');
  if (random.chance(0.2)) settings.push(`timestamp=${random.int(1_000_000_000, 1_700_000_000)}`);
  if (family === 'mysql' && random.chance(0.2)) settings.push('default_collation_for_utf8mb4=utf8mb4_general_ci');
  const sets = settings.map((setting) => `SET SESSION ${setting}`);
  return random.chance(0.2) ? [...sets, 'SET NAMES latin1'] : sets;
}

const alter = ({ name }: RandomTable) => `ALTER TABLE ${q(name)}`;
const anyColumn = (random: SeededRandom, { columns }: RandomTable) => q(random.pick(columns).name);

/** Columns that writers do not know; what MariaDB and MySQL define in the same way. */
function extraColumn(random: SeededRandom, table: RandomTable, family: Family): string[] {
  const extra = `x${random.int(0, 2)}`;
  const place = random.pick(['', ' FIRST', ` AFTER ${anyColumn(random, table)}`]);
  const type = random.pick([
    'INT NULL',
    "VARCHAR(20) NOT NULL DEFAULT 'dé'",
    "VARCHAR(20) CHARACTER SET latin1 NOT NULL DEFAULT 'é\\\\'",
    'DATETIME(3) NULL',
    'DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)',
    'TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)',
    "TIMESTAMP NOT NULL DEFAULT '2024-01-01 03:00:00'",
    "ENUM('a','b') NOT NULL DEFAULT 'b'",
    'REAL NULL DEFAULT 0.1',
    ...(family === 'mysql' ? ['VARCHAR(9) CHARACTER SET utf8mb4 NULL', "JSON NULL DEFAULT ('{}')"] : []),
  ]);
  const how = random.pick([
    '',
    '',
    '',
    ', ALGORITHM=INSTANT',
    ', ALGORITHM=INPLACE',
    ', ALGORITHM=COPY',
    ', LOCK=SHARED',
  ]);
  return [
    random.weighted([
      [6, `${alter(table)} ADD COLUMN ${extra} ${type}${place}${family === 'mysql' ? how : ''}`],
      [2, `${alter(table)} DROP COLUMN ${extra}${family === 'mysql' ? how : ''}`],
      [1, `${alter(table)} ADD INDEX both (${extra}), ADD COLUMN y INT DEFAULT 5`],
      [1, `${alter(table)} ADD COLUMN ${extra} INT GENERATED ALWAYS AS (1 + 1) ${random.pick(['STORED', 'VIRTUAL'])}`],
    ]),
  ];
}

/** Of those columns; from MariaDB most often what both families make of them (DDL_CONVERTS_OTHERWISE). */
function retype(random: SeededRandom, table: RandomTable, family: Family): string[] {
  const extra = `x${random.int(0, 2)}`;
  const type = random.pick([
    ...(family === 'mysql' || random.chance(0.1)
      ? ['BIGINT NULL', 'TIMESTAMP NULL DEFAULT NULL', 'DATETIME NULL', "ENUM('b','c','a') NULL"]
      : []),
    'VARCHAR(60) NULL',
    'TEXT NULL',
    'VARCHAR(30) CHARACTER SET utf16 NULL',
    'BINARY(4) NULL',
  ]);
  return [
    random.weighted([
      [4, `${alter(table)} MODIFY COLUMN ${extra} ${type}`],
      [1, `${alter(table)} RENAME COLUMN ${extra} TO x${random.int(0, 2)}`],
      [1, `${alter(table)} CHANGE COLUMN ${extra} x${random.int(0, 2)} ${type}`],
      [1, `${alter(table)} RENAME COLUMN x0 TO x1, RENAME COLUMN x1 TO x0`],
    ]),
  ];
}

/** Of a TEXT MariaDB takes as much as a key can have; MySQL wants to be told. */
function indexed(random: SeededRandom, table: RandomTable, family: Family): string {
  const columns = table.columns.filter(
    ({ kind }) => family === 'mysql' || !/TEXT|BLOB|JSON|COMPRESSED/.test(kind.type),
  );
  return q((columns.length === 0 ? random.pick(table.columns) : random.pick(columns)).name);
}

function indexes(random: SeededRandom, table: RandomTable, family: Family): string[] {
  const name = `extra_${random.int(0, 1)}`;
  return [
    random.weighted([
      [3, `CREATE INDEX ${name} ON ${q(table.name)} (${indexed(random, table, family)})`],
      [2, `DROP INDEX ${name} ON ${q(table.name)}`],
    ]),
  ];
}

function truncate(_: SeededRandom, { name }: RandomTable): string[] {
  return [`TRUNCATE TABLE ${q(name)}`];
}

function options(random: SeededRandom, table: RandomTable): string[] {
  return [
    `${alter(table)} ${random.pick(["COMMENT = 'it''s; new'", 'FORCE', 'ENGINE=InnoDB', 'AUTO_INCREMENT = 400'])}`,
    ...(table.partitioned
      ? [
          `${alter(table)} ${random.pick(['COALESCE PARTITION 1', 'ADD PARTITION PARTITIONS 1', 'TRUNCATE PARTITION p0', 'DROP PARTITION p1', 'REMOVE PARTITIONING'])}`,
        ]
      : []),
  ];
}

function madeAnew(_: SeededRandom, { name, createSql, session }: RandomTable): string[] {
  return session.length > 0 ? [`TRUNCATE TABLE ${q(name)}`] : [`DROP TABLE ${q(name)}`, createSql];
}

/** Other names for a moment, in which writers meet no table. */
function thereAndBack(random: SeededRandom, table: RandomTable): string[] {
  const other = q(`moved ${random.int(0, 1)}`);
  return random.pick([
    [
      `RENAME TABLE ${q(table.name)} TO ${other}`,
      `INSERT INTO ${other} SELECT * FROM ${other} LIMIT 0`,
      `RENAME TABLE ${other} TO ${q(table.name)}`,
    ],
    [
      `${alter(table)} RENAME TO ${other}`,
      `DELETE FROM ${other} LIMIT 1`,
      `ALTER TABLE ${other} RENAME ${q(table.name)}`,
    ],
  ]);
}

function uniqueness(random: SeededRandom, table: RandomTable, family: Family): string[] {
  return [
    random.pick([
      `${alter(table)} ADD UNIQUE KEY xu (${indexed(random, table, family)})`,
      `DROP INDEX xu ON ${q(table.name)}`,
      `DROP INDEX unique_0 ON ${q(table.name)}`,
    ]),
  ];
}

/** Where the order of the rows is one on both sides: otherwise it stops (DDL_NUMBERS_ROWS). */
function numbers(random: SeededRandom, table: RandomTable): string[] {
  const isInOrder =
    /PRIMARY KEY/.test(table.createSql) && !table.key.some(({ kind }) => /CHARACTER SET/.test(kind.type));
  if (!isInOrder || table.partitioned) return options(random, table);
  return [
    `${alter(table)} ADD COLUMN numbered BIGINT NOT NULL AUTO_INCREMENT UNIQUE`,
    ...(random.chance(0.5) ? [`${alter(table)} DROP COLUMN numbered`] : []),
  ];
}

/** The same columns, in other types or charsets that hold their values. */
function otherForm(random: SeededRandom, table: RandomTable): string[] {
  const column = random.pick(table.columns);
  const type = column.kind.type
    .replace(/^(TINY|SMALL|MEDIUM)?INT\b/, 'BIGINT')
    .replace(/^(VAR)?CHAR\(\d+\)/, 'VARCHAR(40)')
    .replace(/^VARBINARY\(\d+\)/, 'VARBINARY(40)');
  const isFree =
    !column.counted &&
    !column.kind.type.includes('COMPRESSED') &&
    column.name !== 'parent_id' &&
    type !== column.kind.type;
  return [
    isFree && random.chance(0.6)
      ? `${alter(table)} MODIFY COLUMN ${q(column.name)} ${type} ${column.nullable ? 'NULL' : 'NOT NULL'}${random.pick(['', ' FIRST'])}`
      : `${alter(table)} CONVERT TO CHARACTER SET utf8mb4 COLLATE ${random.pick(['utf8mb4_bin', 'utf8mb4_general_ci'])}`,
  ];
}

/** What addresses a row. */
function otherKey(random: SeededRandom, table: RandomTable): string[] {
  const columns = random.sample(table.key, 9).map(({ name }) => q(name));
  const more = random.sample(
    table.columns.filter(({ nullable, kind }) => !nullable && kind.keyable),
    1,
  );
  const list = [...new Set([...columns, ...(random.chance(0.4) ? more.map(({ name }) => q(name)) : [])])].join(', ');
  const anew = `ADD PRIMARY KEY (${list})`;
  const isOfUnique = /only_key/.test(table.createSql);
  return [
    isOfUnique
      ? `${alter(table)} ${random.pick([anew, 'DROP PRIMARY KEY'])}`
      : `${alter(table)} DROP PRIMARY KEY, ${anew}`,
  ];
}

/** What writers write fails for a while; then the columns stand in another order. */
function goneAndBack(random: SeededRandom, table: RandomTable): string[] {
  const { columns, key, unique, foreignKey, twins } = table;
  const [free] = random.sample(
    columns.filter(
      (one) =>
        one.nullable &&
        one.name !== 'parent_id' &&
        ![key, unique, twins].some((others) => others?.includes(one) === true),
    ),
    1,
  );
  const ofKey =
    foreignKey === null ? [] : [[`DROP FOREIGN KEY ${q(`fk_${table.name}`)}`, `ADD ${foreignKey}`] as const];
  const ofColumn =
    free === undefined
      ? []
      : [[`DROP COLUMN ${q(free.name)}`, `ADD COLUMN ${q(free.name)} ${free.kind.type} NULL`] as const];
  const [gone, back] = random.sample([...ofKey, ...ofColumn], 1)[0] ?? ['FORCE', 'ENGINE=InnoDB'];
  return [`${alter(table)} ${gone}`, `${alter(table)} ${back}`];
}

/** Two tables have each other's names for a moment. */
function swapped(random: SeededRandom, table: RandomTable, _: Family, tables: readonly RandomTable[]): string[] {
  const other = random.pick(tables);
  if (other === table) return thereAndBack(random, table);
  const swap = `RENAME TABLE ${q(table.name)} TO swapping, ${q(other.name)} TO ${q(table.name)}, swapping TO ${q(other.name)}`;
  return [swap, swap];
}

/** Columns that no type tells apart, and both of which writers write: what is taken for the other one is wrong without a sign. */
function twins(random: SeededRandom, table: RandomTable, family: Family): string[] {
  if (table.twins === null) return indexes(random, table, family);
  const [a, b] = random.sample(
    table.twins.map(({ name }) => q(name)),
    2,
  );
  const definition = `${table.twins[0].kind.type} NULL DEFAULT NULL`;
  return [
    random.pick([
      `${alter(table)} RENAME COLUMN ${a} TO ${b}, RENAME COLUMN ${b} TO ${a}`,
      `${alter(table)} CHANGE COLUMN ${a} ${b} ${definition}, CHANGE COLUMN ${b} ${a} ${definition}`,
      `${alter(table)} MODIFY COLUMN ${a} ${definition} FIRST`,
      `${alter(table)} MODIFY COLUMN ${a} ${definition} AFTER ${b}`,
      `${alter(table)} DROP COLUMN ${a}, RENAME COLUMN ${b} TO ${a}, ADD COLUMN ${b} ${definition}`,
      `${alter(table)} DROP COLUMN ${a}, ADD COLUMN ${a} ${definition} AFTER ${b}`,
    ]),
  ];
}

/** A partition and a table change their rows; it stays. */
function exchanged(random: SeededRandom, table: RandomTable): string[] {
  const made = q('made of parts');
  if (!table.partitioned) return thereAndBack(random, table);
  return [
    `DROP TABLE IF EXISTS ${made}`,
    `CREATE TABLE ${made} LIKE ${q(table.name)}`,
    `ALTER TABLE ${made} REMOVE PARTITIONING`,
    `${alter(table)} EXCHANGE PARTITION p0 WITH TABLE ${made}`,
    `DELETE FROM ${made} LIMIT 2`,
    ...(random.chance(0.5) ? [`${alter(table)} EXCHANGE PARTITION p0 WITH TABLE ${made}`] : []),
  ];
}

/** Tables that come to be imported. */
function madeLike(random: SeededRandom, table: RandomTable): string[] {
  const made = q(`made ${random.int(0, 2)}`);
  return [
    ...(random.chance(0.5) ? [`DROP TABLE IF EXISTS ${made}`] : []),
    `CREATE TABLE ${made} LIKE ${q(table.name)}`,
    `INSERT INTO ${made} SELECT * FROM ${q(table.name)} LIMIT ${random.int(1, 20)}`,
    `DELETE FROM ${made} LIMIT 2`,
  ];
}

/** Columns that SELECT * does not show, and what is computed of others. */
function hidden(random: SeededRandom, table: RandomTable, family: Family): string[] {
  const extra = `x${random.int(0, 2)}`;
  const number = table.columns.find(
    ({ kind, counted, name }) => !counted && name !== 'parent_id' && kind.type.startsWith('INT'),
  );
  return [
    random.pick([
      `${alter(table)} ADD COLUMN ${extra} INT DEFAULT 6 INVISIBLE`,
      ...(family === 'mysql'
        ? [`${alter(table)} ALTER COLUMN ${extra} SET ${random.pick(['VISIBLE', 'INVISIBLE'])}`]
        : []),
      ...(number === undefined
        ? []
        : [
            `${alter(table)} ADD COLUMN ${extra} BIGINT GENERATED ALWAYS AS (${q(number.name)} DIV 7) ${random.pick(['STORED', 'VIRTUAL'])}`,
          ]),
    ]),
  ];
}

/** Tables that are not imported (their names begin with `extra `); with the last statement they are gone. */
function others(random: SeededRandom, table: RandomTable): string[] {
  const other = q('extra table');
  return [
    `CREATE TABLE ${other} LIKE ${q(table.name)}`,
    `INSERT INTO ${other} SELECT * FROM ${q(table.name)} LIMIT 3`,
    ...(random.chance(0.5)
      ? [`ALTER TABLE ${other} ADD COLUMN x0 INT`, `RENAME TABLE ${other} TO ${q('extra moved')}`]
      : []),
    `DROP TABLE IF EXISTS ${other}, ${q('extra moved')}`,
  ];
}
