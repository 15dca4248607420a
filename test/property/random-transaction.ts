import type { Family } from './column-kinds.ts';
import { rareStatements } from './random-rare-statements.ts';
import type { RandomColumn, RandomTable } from './random-table.ts';
import type { Transaction } from './schedule.ts';
import type { SeededRandom } from './seeded-random.ts';

const q = (name: string) => `\`${name}\``;

/** Runs of every shape; `prepares` says whether XA is among them. */
export function randomTransaction(
  random: SeededRandom,
  tables: readonly RandomTable[],
  { prepares, family }: { prepares: boolean; family: Family },
): Transaction {
  const begin = random.weighted<Transaction['begin']>([
    [5, 'autocommit'],
    [5, 'begin'],
    [prepares ? 1 : 0, 'xa'],
  ]);
  const size =
    begin === 'autocommit'
      ? 1
      : random.weighted([
          [10, random.int(2, 6)],
          [1, random.int(20, 60)],
        ] as const);
  const own = random.chance(0.5) ? [random.pick(tables)] : tables;
  const statements = random
    .times(size, () => {
      if (random.chance(0.08)) return severalTables(random, own);
      if (random.chance(0.1)) return rareStatements(random, random.pick(own), family);
      return randomStatements(random, random.pick(own));
    })
    .flat();
  const end =
    begin !== 'autocommit' && random.chance(0.2)
      ? 'rollback'
      : begin === 'xa' && random.chance(0.3)
        ? 'one_phase'
        : 'commit';
  return {
    begin,
    statements:
      begin !== 'autocommit' && random.chance(begin === 'begin' ? 0.3 : 0.1)
        ? withSavepoint(random, statements)
        : statements,
    end,
  };
}

function withSavepoint(random: SeededRandom, statements: string[]): string[] {
  const at = random.int(0, statements.length - 1);
  const back = random.chance(0.7) ? 'ROLLBACK TO SAVEPOINT s' : 'RELEASE SAVEPOINT s';
  return [
    ...statements.slice(0, at),
    'SAVEPOINT s',
    ...statements.slice(at, at + 2),
    back,
    ...statements.slice(at + 2),
  ];
}

/** Most often one; what only makes sense together stays together. */
export function randomStatements(random: SeededRandom, table: RandomTable): string[] {
  const make = random.weighted<(random: SeededRandom, table: RandomTable) => string[]>([
    [16, insertOne],
    [10, insertMany],
    [6, (random, table) => [insert(random, table, { verb: 'INSERT IGNORE INTO', rows: random.int(1, 20) })]],
    [8, (random, table) => [insert(random, table, { verb: 'REPLACE INTO', rows: random.int(1, 4) })]],
    [8, insertOrUpdate],
    [20, updateOne],
    [5, updateSome],
    [6, changeKey],
    [4, changeUnique],
    [4, swapUnique],
    [3, shift],
    [10, deleteOne],
    [3, deleteSome],
    [3, insertSelect],
    [3, loadData],
    [1, updateAll],
  ]);
  return make(random, table);
}

/** One statement that changes rows of two tables, or makes rows of one out of another; through a temporary table, too. */
function severalTables(random: SeededRandom, tables: readonly RandomTable[]): string[] {
  const [a, b] = [random.pick(tables), random.pick(tables)];
  const from = `${q(a.name)} AS a JOIN ${q(b.name)} AS b`;
  const both = `${placeOf(random, a, 'a')} AND ${placeOf(random, b, 'b')}`;
  const what = random.pick(['update', 'update', 'delete', 'select', 'temporary'] as const);
  switch (what) {
    case 'update':
      return [`UPDATE ${from} SET ${assignments(random, a, 'a.')}, ${assignments(random, b, 'b.')} WHERE ${both}`];
    case 'delete':
      return [`DELETE ${random.pick(['a', 'b', 'a, b'])} FROM ${from} WHERE ${both}`];
    case 'select': {
      const columns = writtenColumns(random, a);
      const values = columns.map((column) => valueOf(random, column)).join(',');
      return [
        `INSERT IGNORE INTO ${q(a.name)} (${columns.map(({ name }) => q(name)).join(',')}) SELECT ${values} FROM ${q(b.name)} AS b LIMIT ${random.int(1, 9)}`,
      ];
    }
    case 'temporary': {
      const columns = a.columns.map(({ name }) => q(name)).join(',');
      return [
        `CREATE TEMPORARY TABLE aside AS SELECT ${columns} FROM ${q(a.name)} LIMIT ${random.int(1, 9)}`,
        `REPLACE INTO ${q(a.name)} (${columns}) SELECT ${columns} FROM aside`,
        'DROP TEMPORARY TABLE aside',
      ];
    }
    default:
      throw new Error(`no such statement: ${String(what satisfies never)}`);
  }
}

function placeOf(random: SeededRandom, { key, columns }: RandomTable, alias: string): string {
  const by = key.length > 0 ? random.sample(key, 1) : random.sample(columns, 1);
  return by.map(({ name, kind }) => `${alias}.${q(name)} = ${kind.value(random)}`).join(' AND ');
}

function insertOne(random: SeededRandom, table: RandomTable): string[] {
  return [insert(random, table, { verb: 'INSERT INTO', rows: 1 })];
}

function insertMany(random: SeededRandom, table: RandomTable): string[] {
  return [insert(random, table, { verb: 'INSERT INTO', rows: random.int(2, 10) })];
}

export function insert(
  random: SeededRandom,
  table: RandomTable,
  { verb, rows }: { verb: string; rows: number },
): string {
  const columns = writtenColumns(random, table);
  const values = random.times(rows, () => `(${columns.map((column) => valueOf(random, column)).join(',')})`);
  return `${verb} ${q(table.name)} (${columns.map(({ name }) => q(name)).join(',')}) VALUES ${values.join(',')}`;
}

/** Sometimes without what has a default. */
function writtenColumns(random: SeededRandom, { columns }: RandomTable): RandomColumn[] {
  return columns.filter(({ nullable, counted }) => (counted ? random.chance(0.6) : !nullable || random.chance(0.9)));
}

function valueOf(random: SeededRandom, { kind, nullable }: RandomColumn): string {
  return nullable && random.chance(0.15) ? 'NULL' : kind.value(random);
}

function insertOrUpdate(random: SeededRandom, table: RandomTable): string[] {
  return [
    `${insert(random, table, { verb: 'INSERT INTO', rows: random.int(1, 3) })} ON DUPLICATE KEY UPDATE ${assignments(random, table)}`,
  ];
}

function assignments(random: SeededRandom, table: RandomTable, alias = ''): string {
  const free = table.columns.filter((column) => !table.key.includes(column));
  const changed = random.sample(free.length > 0 ? free : table.columns, random.int(1, 3));
  return changed.map((column) => `${alias}${q(column.name)} = ${valueOf(random, column)}`).join(', ');
}

function updateOne(random: SeededRandom, table: RandomTable): string[] {
  return [`UPDATE ${q(table.name)} SET ${assignments(random, table)} WHERE ${place(random, table)}`];
}

function updateSome(random: SeededRandom, table: RandomTable): string[] {
  return [
    `UPDATE ${q(table.name)} SET ${assignments(random, table)} ORDER BY ${order(random, table)} LIMIT ${random.int(1, 40)}`,
  ];
}

function updateAll(random: SeededRandom, table: RandomTable): string[] {
  const [column] = random.sample(
    table.columns.filter((one) => !table.key.includes(one) && !table.unique.includes(one)),
    1,
  );
  return column === undefined
    ? updateSome(random, table)
    : [`UPDATE ${q(table.name)} SET ${q(column.name)} = ${valueOf(random, column)}`];
}

function changeKey(random: SeededRandom, table: RandomTable): string[] {
  if (table.key.length === 0) return updateOne(random, table);
  const changed = random.sample(table.key, random.int(1, table.key.length));
  const list = changed.map((column) => `${q(column.name)} = ${valueOf(random, column)}`);
  return [`UPDATE ${q(table.name)} SET ${list.join(', ')} WHERE ${place(random, table)}`];
}

function changeUnique(random: SeededRandom, table: RandomTable): string[] {
  if (table.unique.length === 0) return updateOne(random, table);
  const column = random.pick(table.unique);
  return [`UPDATE ${q(table.name)} SET ${q(column.name)} = ${valueOf(random, column)} WHERE ${place(random, table)}`];
}

/** Two rows exchange a unique value, by way of a third one. */
function swapUnique(random: SeededRandom, table: RandomTable): string[] {
  const [column = table.key[0]] = random.sample(table.unique, 1);
  if (column === undefined) return updateOne(random, table);
  const name = q(column.name);
  const [a, b, c] = random.times(3, () => column.kind.value(random));
  const set = (to: string | undefined, from: string | undefined) =>
    `UPDATE ${q(table.name)} SET ${name} = ${to} WHERE ${name} = ${from} LIMIT 1`;
  return [set(c, a), set(a, b), set(b, c)];
}

/** Every row takes the place of its neighbour. */
function shift(random: SeededRandom, table: RandomTable): string[] {
  const column = random.sample([...table.key, ...table.unique], 3).find(({ kind }) => kind.counts);
  if (column === undefined) return updateSome(random, table);
  const name = q(column.name);
  return random.chance(0.5)
    ? [`UPDATE ${q(table.name)} SET ${name} = ${name} + 1 ORDER BY ${name} DESC`]
    : [`UPDATE ${q(table.name)} SET ${name} = ${name} - 1 ORDER BY ${name}`];
}

function deleteOne(random: SeededRandom, table: RandomTable): string[] {
  return [`DELETE FROM ${q(table.name)} WHERE ${place(random, table)}`];
}

function deleteSome(random: SeededRandom, table: RandomTable): string[] {
  return [`DELETE FROM ${q(table.name)} ORDER BY ${order(random, table)} LIMIT ${random.int(1, 30)}`];
}

/** Rows made of other rows of the same table, under keys of their own. */
function insertSelect(random: SeededRandom, table: RandomTable): string[] {
  const columns = table.columns.filter(({ counted }) => !counted);
  const own = [...table.key, ...table.unique];
  const list = columns.map((column) => {
    if (!own.includes(column)) return q(column.name);
    return column.kind.counts && random.chance(0.7)
      ? `${q(column.name)} + ${random.int(1, 60)}`
      : valueOf(random, column);
  });
  const verb = random.pick(['INSERT IGNORE', 'INSERT IGNORE', 'REPLACE']);
  return [
    `${verb} INTO ${q(table.name)} (${columns.map(({ name }) => q(name)).join(',')}) SELECT ${list.join(',')} FROM ${q(table.name)} ORDER BY ${order(random, table)} LIMIT ${random.int(1, 60)}`,
  ];
}

/** Of a file with the lines 1, 2 and 3 (writer.ts): the rows are in the statement. */
function loadData(random: SeededRandom, table: RandomTable): string[] {
  const columns = writtenColumns(random, table);
  const values = columns.map((column) => {
    const each = random.times(3, () => valueOf(random, column));
    return `${q(column.name)} = CASE @line WHEN 1 THEN ${each[0]} WHEN 2 THEN ${each[1]} ELSE ${each[2]} END`;
  });
  return [
    `LOAD DATA LOCAL INFILE 'lines' ${random.pick(['REPLACE', 'REPLACE', 'IGNORE'])} INTO TABLE ${q(table.name)} (@line) SET ${values.join(', ')}`,
  ];
}

/** One row by its key, sometimes several by a part of it. */
function place(random: SeededRandom, { key, columns }: RandomTable): string {
  const parts = key.length > 1 && random.chance(0.4) ? random.sample(key, 1) : key;
  if (parts.length === 0) return `${q((columns[0] ?? { name: '' }).name)} IS NOT NULL LIMIT ${random.int(1, 2)}`;
  return parts.map((column) => `${q(column.name)} = ${column.kind.value(random)}`).join(' AND ');
}

function order(random: SeededRandom, { key, columns }: RandomTable): string {
  const by = key.length > 0 && random.chance(0.6) ? key : random.sample(columns, 1);
  return by.map(({ name }) => `${q(name)}${random.chance(0.5) ? ' DESC' : ''}`).join(',');
}
