import { comparand, isWideSet } from '../schema/column-sql.ts';
import { enumMembers } from '../schema/enum-members.ts';
import type { Column, Table } from '../schema/table.ts';
import { quoteName, type Bytes } from '../server/connection.ts';

/** Values of the key columns, canonical; a bound of a chunk is always the key of a row, or arithmetic on integers. */
export type Bound = Bytes[];

/** Keys above `lower` (null: from the first) up to and with `upper` (null: to the last). */
export interface KeyRange {
  lower: Bound | null;
  upper: Bound | null;
}

/** More members than this, and a comparison is left to the server, which then reads the whole index. */
const ENUM_LIST_MAX = 255;

/** WHERE clause for a range (empty for everything), in a form for which MySQL and MariaDB use the key's index. */
export function rangePredicate(key: Column[], { lower, upper }: KeyRange): Bytes {
  const parts = [
    ...(lower === null ? [] : [beyond(key, lower, '>', '>')]),
    ...(upper === null ? [] : [beyond(key, upper, '<', '<=')]),
  ];
  return parts.length === 0 ? '' : ` WHERE ${parts.join(' AND ')}`;
}

/** `(a,b) > (1,2)` as `a >= 1 AND (a > 1 OR a = 1 AND b > 2)`: the optimizer makes no range of a row comparison. */
function beyond(key: Column[], bound: Bound, operator: '<' | '>', last: '<' | '>' | '<='): Bytes {
  const [column, ...rest] = key;
  const [value, ...values] = bound;
  if (column === undefined || value === undefined) throw new Error('a bound has as many values as the key has columns');
  if (rest.length === 0) return compare(column, last, value);
  const outer = compare(column, operator === '>' ? '>=' : '<=', value);
  const inner = beyond(rest, values, operator, last);
  return `${outer} AND (${compare(column, operator, value)} OR ${compare(column, '=', value)} AND ${inner})`;
}

function compare(column: Column, operator: '<' | '>' | '<=' | '>=' | '=', value: Bytes): Bytes {
  const name = quoteName(column.name);
  if (column.dataType === 'enum' && operator !== '=') {
    const members = enumMembers(column).length;
    if (members <= ENUM_LIST_MAX) return oneOf(name, indexesWhere(members, operator, Number(value)));
  }
  // No range of the index, but the right rows.
  if (isWideSet(column)) return `CAST(${name} AS UNSIGNED) ${operator} ${value}`;
  return `${name} ${operator} ${comparand(column)(value)}`;
}

/** An inequality on an ENUM reads the whole index (9.7 and MariaDB 11.8: EXPLAIN says ALL); a list of its values does not. */
function oneOf(name: Bytes, indexes: number[]): Bytes {
  return indexes.length === 0 ? 'FALSE' : `${name} IN (${indexes.join(',')})`;
}

function indexesWhere(members: number, operator: '<' | '>' | '<=' | '>=', value: number): number[] {
  const all = Array.from({ length: members + 1 }, (_, index) => index);
  return all.filter((index) => {
    switch (operator) {
      case '<':
        return index < value;
      case '<=':
        return index <= value;
      case '>':
        return index > value;
      case '>=':
        return index >= value;
      default:
        return operator satisfies never;
    }
  });
}

/** Columns of the table's key, in its order. */
export function keyColumns(table: Table): Column[] {
  const columns = (table.key?.columns ?? []).flatMap((ordinal) => table.columns[ordinal] ?? []);
  if (columns.length === 0) throw new Error(`${table.name} has no key; the preflight refuses such tables`);
  return columns;
}

/** The table with its primary key as the way in; other keys are left to the optimizer, an invisible one cannot be forced. */
export function tableByKey(table: Table): Bytes {
  const name = `${quoteName(table.schema)}.${quoteName(table.name)}`;
  return table.key?.name === 'PRIMARY' ? `${name} FORCE INDEX (PRIMARY)` : name;
}
