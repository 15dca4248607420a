import { AppError } from '../../core/errors.ts';
import type { Column, Table } from '../schema/table.ts';
import { textOf, type Bytes, type Value } from '../server/connection.ts';

export interface RefusedRow {
  table: Table;
  columns: Column[];
  /** Of `columns`. */
  values: Value[];
  keyColumns: Column[];
  key: Value[];
  /** What the target said. */
  reason: string;
}

const SHOWN_BYTES = 64;

/** COPY_VALUE_REFUSED for one row: table, key, and the column with its value where the target's words tell it. */
export function rowRefused({ table, columns, values, keyColumns, key, reason }: RefusedRow): AppError {
  const column = columnNamed(table, columns, reason);
  const value = column === null ? null : shortValue(values[columns.indexOf(column)] ?? null);
  const shownKey = keyText(keyColumns, key);
  const what = column === null ? 'the row' : `column ${column.name} with the value ${value}`;
  return new AppError(
    'COPY_VALUE_REFUSED',
    `${table.schema}.${table.name}, key ${shownKey}: the target does not take ${what}: ${reason}`,
    { details: { table: table.name, key: shownKey, column: column?.name ?? null, value, reason } },
  );
}

export function keyText(columns: Column[], key: Value[]): string {
  return columns.map(({ name }, i) => `${name}=${shortValue(key[i] ?? null)}`).join(', ');
}

/** Text in quotes where the bytes are UTF-8, else hexadecimal; cut, with the whole length. */
export function shortValue(value: Value): string {
  if (value === null) return 'NULL';
  const head = value.slice(0, SHOWN_BYTES);
  const rest = value.length > SHOWN_BYTES ? `… (${value.length} bytes)` : '';
  const text = textOf(head).replace(/\u{FFFD}+$/u, rest === '' ? '$&' : '');
  return (isPrintable(text) ? `'${text}'` : `0x${hexOf(head)}`) + rest;
}

function isPrintable(text: string): boolean {
  return !/[\p{Cc}\u{FFFD}]/u.test(text);
}

function hexOf(bytes: Bytes): string {
  return Buffer.from(bytes, 'latin1').toString('hex');
}

/** `… for column 'v' at row 1`, `… value for column 't.v'`; of a CHECK constraint the first column in its expression. */
function columnNamed(table: Table, columns: Column[], reason: string): Column | null {
  const named = /column '([^']+)'/i.exec(reason)?.[1];
  if (named !== undefined) {
    return columns.find(({ name }) => name === named) ?? columns.find(({ name }) => named.endsWith(`.${name}`)) ?? null;
  }
  const constraint = /Check constraint '([^']+)' is violated/i.exec(reason)?.[1];
  if (constraint === undefined) return null;
  const line = table.createSql.split('\n').find((part) => part.includes(`CONSTRAINT \`${constraint}\` CHECK`));
  const expression = line?.slice(line.indexOf('CHECK')) ?? '';
  return columns.find(({ name }) => expression.includes(`\`${name}\``)) ?? null;
}
