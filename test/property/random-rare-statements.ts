import type { Family } from './column-kinds.ts';
import type { RandomColumn, RandomTable } from './random-table.ts';
import type { SeededRandom } from './seeded-random.ts';

const q = (name: string) => `\`${name}\``;

/** Ways to change rows that applications take less often; what a family does not know only fails. */
export function rareStatements(random: SeededRandom, table: RandomTable, family: Family): string[] {
  const make = random.pick([documentParts, prepared, byValues, setForm, returning, byQuery, through]);
  return make(random, table, family);
}

/** Parts of JSON documents, which a server may log as such. */
function documentParts(random: SeededRandom, table: RandomTable): string[] {
  const column = table.columns.find(({ kind }) => kind.type === 'JSON');
  if (column === undefined) return byValues(random, table);
  const name = q(column.name);
  const number = random.int(0, 1000);
  const part = random.pick([
    `JSON_SET(COALESCE(${name}, '{}'), '$.a', ${number}, '$.s', REPEAT('é', ${random.pick([1, 300, 20_000])}))`,
    `JSON_INSERT(COALESCE(${name}, '{}'), '$.more', JSON_OBJECT('n', ${number}.5, 'null', NULL, 'true', TRUE))`,
    `JSON_REPLACE(${name}, '$.a', JSON_ARRAY(${number}, 'x', JSON_OBJECT()))`,
    `JSON_REMOVE(${name}, '$.s')`,
    `JSON_ARRAY_APPEND(${name}, '$', ${number})`,
    `JSON_MERGE_PATCH(COALESCE(${name}, '{}'), '{"a": null, "deep": {"b": [${number}, {"c": "d"}]}}')`,
  ]);
  return [`UPDATE ${q(table.name)} SET ${name} = ${part} LIMIT ${random.int(1, 20)}`];
}

/** With parameters, by the statements for it. */
function prepared(random: SeededRandom, table: RandomTable): string[] {
  const columns = written(table);
  const sets = columns.map((column, i) => `@v${i} = ${valueOf(random, column)}`);
  const verb = random.pick(['REPLACE INTO', 'INSERT IGNORE INTO']);
  return [
    `PREPARE one FROM '${verb} ${q(table.name)} (${names(columns)}) VALUES (${columns.map(() => '?').join(',')})'`,
    `SET ${sets.join(', ')}`,
    `EXECUTE one USING ${columns.map((_, i) => `@v${i}`).join(', ')}`,
    'DEALLOCATE PREPARE one',
  ];
}

/** Several unique keys may decide which row it is; it may get another key by it. */
function byValues(random: SeededRandom, table: RandomTable): string[] {
  const columns = written(table);
  const rows = random.times(random.int(1, 6), () => `(${columns.map((column) => valueOf(random, column)).join(',')})`);
  const changed = random.sample(columns, random.int(1, 3));
  return [
    `INSERT INTO ${q(table.name)} (${names(columns)}) VALUES ${rows.join(',')} ON DUPLICATE KEY UPDATE ${changed.map(({ name }) => `${q(name)} = VALUES(${q(name)})`).join(', ')}`,
  ];
}

function setForm(random: SeededRandom, table: RandomTable): string[] {
  const sets = written(table).map((column) => `${q(column.name)} = ${valueOf(random, column)}`);
  return [`${random.pick(['INSERT INTO', 'REPLACE INTO'])} ${q(table.name)} SET ${sets.join(', ')}`];
}

/** MariaDB's. */
function returning(random: SeededRandom, table: RandomTable, family: Family): string[] {
  if (family !== 'mariadb') return setForm(random, table);
  return [
    random.pick([
      `DELETE FROM ${q(table.name)} LIMIT ${random.int(1, 3)} RETURNING *`,
      `${setForm(random, table)[0] ?? ''} RETURNING *`,
    ]),
  ];
}

/** By a common table expression, or a derived table. */
function byQuery(random: SeededRandom, table: RandomTable, family: Family): string[] {
  const place = table.key[0] ?? table.columns[0];
  const [column] = random.sample(
    table.columns.filter((one) => one !== place && !table.unique.includes(one)),
    1,
  );
  if (place === undefined || column === undefined) return setForm(random, table);
  const some = `SELECT ${q(place.name)} AS found FROM ${q(table.name)} LIMIT ${random.int(1, 9)}`;
  const join = `t.${q(place.name)} = some.found`;
  const set = `SET t.${q(column.name)} = ${valueOf(random, column)}`;
  return [
    family === 'mysql' && random.chance(0.6)
      ? random.pick([
          `WITH some AS (${some}) UPDATE ${q(table.name)} AS t JOIN some ON ${join} ${set}`,
          `WITH some AS (${some}) DELETE t FROM ${q(table.name)} AS t JOIN some ON ${join}`,
        ])
      : `UPDATE ${q(table.name)} AS t JOIN (${some}) AS some ON ${join} ${set}`,
  ];
}

/** A view or a routine that `codeOf` has made. */
function through(random: SeededRandom, table: RandomTable): string[] {
  const [column] = random.sample(
    table.columns.filter((one) => !table.key.includes(one) && !table.unique.includes(one)),
    1,
  );
  return [
    random.pick([
      `DELETE FROM ${q(`view of ${table.name}`)} LIMIT ${random.int(1, 3)}`,
      `CALL ${q(`empty ${table.name}`)}(${random.int(0, 3)})`,
      ...(column === undefined
        ? []
        : [
            `UPDATE ${q(`view of ${table.name}`)} SET ${q(column.name)} = ${valueOf(random, column)} LIMIT ${random.int(1, 9)}`,
          ]),
    ]),
  ];
}

export function codeOf({ name }: RandomTable): string[] {
  return [
    `CREATE VIEW ${q(`view of ${name}`)} AS SELECT * FROM ${q(name)}`,
    `CREATE PROCEDURE ${q(`empty ${name}`)} (IN many INT) MODIFIES SQL DATA BEGIN DELETE FROM ${q(name)} LIMIT many; END`,
  ];
}

function written({ columns }: RandomTable): RandomColumn[] {
  return columns.filter(({ counted }) => !counted);
}

function names(columns: readonly RandomColumn[]): string {
  return columns.map(({ name }) => q(name)).join(',');
}

function valueOf(random: SeededRandom, { kind, nullable }: RandomColumn): string {
  return nullable && random.chance(0.15) ? 'NULL' : kind.value(random);
}
