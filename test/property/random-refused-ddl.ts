import type { Family } from './column-kinds.ts';
import type { RandomTable } from './random-table.ts';
import type { SeededRandom } from './seeded-random.ts';

const q = (name: string) => `\`${name}\``;

export interface RefusedDdl {
  session: string[];
  sql: string[];
  mayStop: string[];
}

/** Definitions that cannot be followed as they stand. What is not stopped for must be the same on both sides. */
export function refusedDdl(random: SeededRandom, table: RandomTable, family: Family): RefusedDdl {
  const make = random.weighted<(random: SeededRandom, table: RandomTable, family: Family) => RefusedDdl>([
    [4, madeOfRows],
    [2, valuesOfServer],
    [family === 'mariadb' ? 4 : 0, ofMariadb],
    [2, howItRuns],
  ]);
  return make(random, table, family);
}

/** CREATE TABLE … SELECT, in sessions of each binlog_format. */
function madeOfRows(random: SeededRandom, table: RandomTable, family: Family): RefusedDdl {
  const name = `made ${random.int(0, 2)}`;
  const create = family === 'mariadb' && random.chance(0.4) ? 'CREATE OR REPLACE TABLE' : 'CREATE TABLE';
  const value = random.pick(['@told', 'RAND()', '1', 'CONNECTION_ID()']);
  const rows = `SELECT ${value} AS told, ${q((table.columns[0] ?? { name: '' }).name)} AS c FROM ${q(table.name)} LIMIT 5`;
  return {
    session: [`SET SESSION binlog_format = ${random.pick(['ROW', 'MIXED', 'STATEMENT'])}`, 'SET @told = 7'],
    sql: [`${create} ${q(name)} (made_id BIGINT AUTO_INCREMENT PRIMARY KEY) ${random.pick(['', 'AS '])}${rows}`],
    mayStop: ['DDL_WITH_ROWS'],
  };
}

/** Values of new columns that each server has its own of. */
function valuesOfServer(random: SeededRandom, { name }: RandomTable): RefusedDdl {
  const value = random.pick(['CONNECTION_ID()', 'UUID()', 'RAND()', 'USER()', 'DATABASE()', 'NOW(6)']);
  return {
    session: [`SET SESSION binlog_format = ${random.pick(['ROW', 'MIXED', 'STATEMENT'])}`],
    sql: [`ALTER TABLE ${q(name)} ADD COLUMN x${random.int(0, 2)} VARCHAR(80) DEFAULT (${value})`],
    mayStop: ['DDL_VALUES_DIFFER', 'DDL_FAILED'],
  };
}

/** What MySQL has no words for. */
function ofMariadb(random: SeededRandom, table: RandomTable): RefusedDdl {
  const [name, made] = [q(table.name), q(`made ${random.int(0, 2)}`)];
  const sql = random.pick([
    ['CREATE SEQUENCE made_numbers', 'SELECT NEXTVAL(made_numbers)', 'ALTER SEQUENCE made_numbers INCREMENT 5'],
    ['CREATE SEQUENCE made_numbers', 'DROP SEQUENCE made_numbers'],
    [`ALTER TABLE ${name} ADD SYSTEM VERSIONING`, `DELETE FROM ${name} LIMIT 3`],
    [`CREATE TABLE ${made} (id INT PRIMARY KEY) WITH SYSTEM VERSIONING`, `INSERT INTO ${made} VALUES (1), (2)`],
    [`CREATE OR REPLACE TABLE ${made} LIKE ${name}`, `INSERT INTO ${made} SELECT * FROM ${name} LIMIT 5`],
    [
      `CREATE OR REPLACE TABLE ${made} (id INT PRIMARY KEY, a INET6, u UUID)`,
      `INSERT INTO ${made} VALUES (1, '::1', UUID())`,
    ],
    [`ALTER TABLE ${name} ADD COLUMN IF NOT EXISTS x0 INT DEFAULT 3`],
    [`SET STATEMENT sql_mode='' FOR ALTER TABLE ${name} ADD COLUMN x1 INT DEFAULT 3`],
    [`ALTER ONLINE TABLE ${name} ADD COLUMN x1 INT DEFAULT 3`],
    [`ALTER IGNORE TABLE ${name} ADD UNIQUE KEY xu (${q((table.columns[0] ?? { name: '' }).name)})`],
    [`ALTER TABLE ${name} MODIFY COLUMN x0 INT CHECK (x0 < 9)`],
  ]);
  return {
    session: [],
    sql,
    mayStop: ['DDL_FAILED', 'DDL_WITH_ROWS', 'STREAM_SCHEMA_CHANGED', 'DDL_CONVERTS_OTHERWISE'],
  };
}

/** Clauses that do not change what becomes of it, and that the other side may refuse. */
function howItRuns(random: SeededRandom, { name }: RandomTable): RefusedDdl {
  const what = random.pick([
    'ADD COLUMN x0 INT NOT NULL DEFAULT 4',
    'ADD COLUMN x1 VARCHAR(9) INVISIBLE DEFAULT NULL',
    'DROP COLUMN x0',
    'FORCE',
  ]);
  const how = random.pick([
    'ALGORITHM=COPY',
    'ALGORITHM=COPY, LOCK=NONE',
    'LOCK=NONE',
    'ALGORITHM=INPLACE',
    'ALGORITHM=INSTANT',
  ]);
  return { session: [], sql: [`ALTER TABLE ${q(name)} ${what}, ${how}`], mayStop: ['DDL_FAILED'] };
}
