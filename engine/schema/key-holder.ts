import { quoteName, type Bytes, type ServerConnection, type Value } from '../server/connection.ts';
import { insertColumns, selectExpression } from './column-sql.ts';
import type { Column, Table } from './table.ts';

/**
 * The key of the row that keeps another one out, whose INSERT is `insert`; null where none does. In ON DUPLICATE KEY UPDATE a
 * column's name means the row that is there, whichever kind of unique key it stands in: over whole columns, prefixes or
 * expressions. Nothing is changed, and what might be is taken back. The values are those of `selectExpression`.
 */
export async function keyHolder(connection: ServerConnection, table: Table, insert: Bytes): Promise<Value[] | null> {
  const [first] = insertColumns(table);
  if (first === undefined) return null;
  const name = quoteName(first.name);
  const key = keyColumnsOf(table);
  // LENGTH, since IS NULL of a NOT NULL column is decided without evaluating it (tried on 9.7).
  const notes = key.map((column, i) => `LENGTH(@switchyard_key_${i} := ${selectExpression(column)}) < 0`);
  const variables = key.map((_, i) => `@switchyard_key_${i}`);
  await connection.write(`SET ${variables.map((variable) => `${variable} = NULL`).join(',')}`);
  await connection.write('SAVEPOINT switchyard_holder');
  await connection.write(`${insert} ON DUPLICATE KEY UPDATE ${name} = IF(${notes.join(' OR ')}, ${name}, ${name})`);
  await connection.write('ROLLBACK TO SAVEPOINT switchyard_holder');
  const [row] = await connection.rows(`SELECT ${variables.join(',')}`);
  return row === undefined || row.includes(null) ? null : row;
}

function keyColumnsOf({ columns, key }: Table): Column[] {
  return (key?.columns ?? []).flatMap((index) => columns[index] ?? []);
}
