import type { Bytes } from '../../engine/server/connection.ts';
import type { Flavor } from '../../servers/flavor.ts';
import { zooOf } from '../support/zoo/zoo.ts';
import type { ZooType } from '../support/zoo/zoo-type.ts';

/** Rows are numbered by value: row `i` holds the i-th value of each column, the last row NULL in all of them. */
export interface WideTable {
  name: string;
  types: ZooType[];
  /** Rows of the copy, the one of NULLs included. */
  rows: number;
}

/** One type as the whole primary key. `wide` has its values. */
export interface KeyTable {
  name: string;
  type: ZooType;
  wide: string;
}

export function wideTables(flavor: Flavor): WideTable[] {
  return Object.entries(zooOf(flavor)).map(([group, types]) => ({
    name: `w_${group}`,
    types,
    rows: Math.max(...types.map(({ values }) => values.length)) + 1,
  }));
}

export function keyTables(wide: WideTable[]): KeyTable[] {
  return wide.flatMap(({ name, types }) =>
    types.filter(({ key }) => key).map((type) => ({ name: `k_${type.name}`, type, wide: name })),
  );
}

/** Made on the source, and filled, before the copy. */
export function wideStatements({ name, types, rows }: WideTable): Bytes[] {
  const definitions = types.map((type) => `${type.name} ${type.type}${type.type.endsWith(' NULL') ? '' : ' NULL'}`);
  const columns = types.map((type) => type.name).join(',');
  const value = (type: ZooType, row: number) => type.values[row % type.values.length] ?? 'NULL';
  return [
    `CREATE TABLE ${name} (id INT PRIMARY KEY, ${definitions.join(', ')}) CHARACTER SET utf8mb4`,
    ...Array.from({ length: rows - 1 }, (_, row) => row).map(
      (row) => `INSERT INTO ${name} (id,${columns}) VALUES (${row},${types.map((type) => value(type, row)).join(',')})`,
    ),
    `INSERT INTO ${name} (id) VALUES (${rows - 1})`,
  ];
}

/** `v` is the number of the value in `k`; every second value is there for the copy. */
export function keyStatements({ name, type, wide }: KeyTable): Bytes[] {
  return [
    `CREATE TABLE ${name} (k ${type.type.replace(/ NULL$/, '')} NOT NULL, v INT NOT NULL, n INT NOT NULL, PRIMARY KEY (k)) CHARACTER SET utf8mb4`,
    ...insertKeys({ name, type, wide }, 0),
  ];
}

/** The steps of one direction, the same SQL on every server: values come from the rows that are there. */
export interface Steps {
  insert: Bytes[];
  update: Bytes[];
  delete: Bytes[];
  key: Bytes[];
}

/** New rows are numbered from `base`. */
export function wideSteps({ name, types, rows }: WideTable, base: number): Omit<Steps, 'key'> {
  const columns = types.map((type) => type.name);
  const numbers = Array.from({ length: rows }, (_, row) => row);
  const assign = columns.map((column) => `a.${column} = b.${column}`).join(', ');
  return {
    insert: numbers.map(
      (row) =>
        `INSERT INTO ${name} (id,${columns.join(',')}) SELECT ${base + row},${columns.join(',')} FROM ${name} WHERE id = ${row}`,
    ),
    // Each row takes the values of the next: from and to NULL, short and long.
    update: numbers.map(
      (row) => `UPDATE ${name} a JOIN ${name} b ON b.id = ${(row + 1) % rows} SET ${assign} WHERE a.id = ${base + row}`,
    ),
    delete: [`DELETE FROM ${name} WHERE id >= ${base} AND id % 2 = 1`],
  };
}

/** Before, the values of parity `parity` are keys; afterwards the others are. */
export function keySteps(table: KeyTable, parity: 0 | 1): Steps {
  const { name, type, wide } = table;
  const other = parity === 0 ? 1 : 0;
  const moves = numbersOf(type, parity).map((from) => [from, parity === 0 ? from + 1 : from - 1] as const);
  const unpaired = type.values.length % 2 === 1 ? ` OR v = ${type.values.length - 1}` : '';
  return {
    insert: insertKeys(table, other),
    update: [`UPDATE ${name} SET n = n + 1`],
    delete: [`DELETE FROM ${name} WHERE v % 2 = ${other}${unpaired}`],
    key: moves
      .filter(([, to]) => to < type.values.length)
      .map(
        ([from, to]) =>
          `UPDATE ${name} SET k = (SELECT ${type.name} FROM ${wide} WHERE id = ${to}), v = ${to} WHERE v = ${from}`,
      ),
  };
}

function numbersOf({ values }: ZooType, parity: 0 | 1): number[] {
  return values.map((_, index) => index).filter((index) => index % 2 === parity);
}

function insertKeys({ name, type, wide }: KeyTable, parity: 0 | 1): Bytes[] {
  return numbersOf(type, parity).map(
    (number) => `INSERT INTO ${name} (k, v, n) SELECT ${type.name}, ${number}, 0 FROM ${wide} WHERE id = ${number}`,
  );
}
