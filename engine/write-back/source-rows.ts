import { isCollated, whereValues } from '../apply/table-sql.ts';
import { addJsonTypes } from '../copy/typed-json.ts';
import { insertColumns, literal, normalizer, selectExpression } from '../schema/column-sql.ts';
import type { Column, RowImage, Table } from '../schema/table.ts';
import { quoteName, type Bytes, type ServerConnection, type Value } from '../server/connection.ts';
import { sameValue } from '../stray/stray-image.ts';

/** Why a tester's transaction is not applied. */
export class Conflict extends Error {}

/** A row change of the target in the columns of the source's table. */
export interface NamedRow {
  /** Undefined: the event does not have the column. */
  value(column: Column): Value | undefined;
}

export function namedRow(table: Table, image: RowImage): NamedRow {
  return { value: ({ name }) => image[table.columns.findIndex((column) => column.name === name)] };
}

/** The values that address the row on the source. */
export function keyOf(table: Table, row: NamedRow): Value[] {
  if (table.key === null) throw new Conflict(`the table ${table.name} of the source has no key`);
  return table.key.columns.map((index) => {
    const column = table.columns[index];
    const value = column === undefined ? undefined : row.value(column);
    if (value === undefined || value === null)
      throw new Conflict(`its key is not known in ${table.name} of the source`);
    return value;
  });
}

export function whereKey(table: Table, key: Value[]): Bytes {
  return whereKeys(table, [key]);
}

export function whereKeys(table: Table, keys: readonly Value[][]): Bytes {
  const columns = (table.key?.columns ?? []).flatMap((index) => table.columns[index] ?? []);
  return whereValues(columns, keys, columns.some(isCollated) ? 'bytes' : 'collation');
}

export function tableName({ schema, name }: Table): Bytes {
  return `${quoteName(schema)}.${quoteName(name)}`;
}

/** Locked until the end of the transaction; values in the order of `insertColumns`. */
export async function lockedRow(
  connection: ServerConnection,
  table: Table,
  key: Value[],
): Promise<Value[] | undefined> {
  const columns = insertColumns(table);
  const [row] = await connection.rows(
    `SELECT ${columns.map(selectExpression).join(',')} FROM ${tableName(table)} WHERE ${whereKey(table, key)} FOR UPDATE`,
  );
  return row?.map((value, index) => {
    const column = columns[index];
    const normalize = column === undefined ? null : normalizer(column);
    return value === null || normalize === null ? value : normalize(value);
  });
}

/** Names of the columns in which the source's row is not what the tester found. */
export function differingColumns(table: Table, row: Value[], before: NamedRow, target: Table): string[] {
  return insertColumns(table)
    .filter((column, index) => {
      const found = before.value(column);
      return found !== undefined && !isSame(column, target, row[index] ?? null, found);
    })
    .map(({ name }) => name);
}

/** JSON is a text on MariaDB. */
function isSame(column: Column, target: Table, left: Value, right: Value): boolean {
  const there = target.columns.find(({ name }) => name === column.name);
  const isJson = column.dataType === 'json' || there?.dataType === 'json';
  try {
    return sameValue(isJson ? { ...column, dataType: 'json' } : column, left, right);
  } catch {
    return false;
  }
}

/** With the types that JSON text does not tell. */
export async function fullImage(
  connection: ServerConnection,
  table: Table,
  key: Value[],
  row: Value[],
): Promise<RowImage> {
  const columns = insertColumns(table);
  const image: RowImage = table.columns.map((column) => {
    const index = columns.indexOf(column);
    return index === -1 ? undefined : (row[index] ?? null);
  });
  for (const column of columns)
    if (column.dataType === 'json') await addJsonTypes(connection, table, column, [{ key, image }]);
  return image;
}

/** What the event has of the columns that can be written. */
export function assignments(table: Table, row: NamedRow): { column: Bytes; value: Bytes }[] {
  return insertColumns(table).flatMap((column) => {
    const value = row.value(column);
    return value === undefined ? [] : [{ column: quoteName(column.name), value: literal(column)(value) }];
  });
}
