import { AppError } from '../../core/errors.ts';
import { comparand, selectExpression } from '../schema/column-sql.ts';
import { serverFacts } from '../schema/inspect.ts';
import { columnWords, keyParts, type KeyPart } from '../schema/key-parts.ts';
import type { Column, Table } from '../schema/table.ts';
import { quoteName, type Bytes, type ServerConnection, type Value } from '../server/connection.ts';
import { storedIn } from './as-stored.ts';
import { tableSql, whereValues } from './table-sql.ts';
import type { FinalState } from './window.ts';

export interface SameOnOriginOptions {
  origin: ServerConnection;
  destination: ServerConnection;
  table: Table;
  /** The unique key of the destination that does not take both. */
  index: string;
  taker: FinalState;
  /** The key of the other row, on the destination. */
  holder: Value[];
}

/**
 * Whether the origin, too, takes two rows for one in a unique key, so that it cannot have had both at a time. False also where
 * that cannot be told.
 *
 * Columns are compared by the origin, by its own collations and prefixes. Expressions are not evaluated there: where both
 * servers are MySQL and define the table's columns and the key alike, what the destination said holds for the origin.
 */
export async function isSameOnOrigin(options: SameOnOriginOptions): Promise<boolean> {
  const { origin, destination, table, index } = options;
  const name = { schema: table.schema, table: table.name, index };
  try {
    const parts = await keyParts(origin, name);
    if (parts.length === 0) return false;
    if (!parts.some(({ kind }) => kind === 'expression')) return await compareOnOrigin(options, parts);
    const there = await keyParts(destination, name);
    return (
      JSON.stringify(parts) === JSON.stringify(there) &&
      areAlike(await columnWords(origin, table), await columnWords(destination, table)) &&
      (await isMysql(origin)) &&
      (await isMysql(destination))
    );
  } catch (error) {
    // The origin has other columns by now.
    if (error instanceof AppError && error.code === 'SERVER_ERROR') return false;
    throw error;
  }
}

/** What one side alone has (the other has not come to the statement) is in no expression that both have. */
function areAlike(here: ReadonlyMap<string, string>, there: ReadonlyMap<string, string>): boolean {
  return [...here].every(([name, words]) => (there.get(name) ?? words) === words);
}

async function isMysql(connection: ServerConnection): Promise<boolean> {
  return (await serverFacts(connection)).flavor === 'mysql';
}

async function compareOnOrigin(
  { origin, destination, table, taker, holder }: SameOnOriginOptions,
  parts: KeyPart[],
): Promise<boolean> {
  const compared = parts.flatMap((part) => (part.kind === 'column' ? placed(table, part) : []));
  const values = compared.map(({ at }) => taker.image?.[at]);
  // A column that is not the destination's, or a generated one that was not logged.
  if (compared.length < parts.length || values.includes(undefined)) return false;
  const { name, whereKeys } = tableSql(table);
  const [held] = await destination.rows(
    `SELECT ${compared.map(({ column }) => selectExpression(column)).join(',')} FROM ${name} WHERE ${whereKeys([{ key: holder, image: null, existed: true }])}`,
  );
  if (held === undefined) return false;
  const stored = await storedIn(origin, table);
  const one = stored(compared.map(({ column }, i) => [column, held[i] ?? null]));
  const conditions = compared.map(({ column, prefix }, i) => equality(column, prefix, values[i] ?? null));
  const [row] = await origin.rows(`SELECT COUNT(*) FROM ${one} AS holder WHERE ${conditions.join(' AND ')}`);
  return row?.[0] === '1';
}

function equality(column: Column, prefix: number | null, value: Value): Bytes {
  if (prefix === null) return whereValues([column], [[value]], 'collation');
  return `LEFT(${quoteName(column.name)},${prefix}) = LEFT(${comparand(column)(value)},${prefix})`;
}

interface PlacedPart {
  column: Column;
  at: number;
  prefix: number | null;
}

function placed(table: Table, { column: name, prefix }: { column: string; prefix: number | null }): PlacedPart[] {
  const at = table.columns.findIndex((column) => column.name === name);
  const column = table.columns[at];
  return column === undefined ? [] : [{ column, at, prefix }];
}
