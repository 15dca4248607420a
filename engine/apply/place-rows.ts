import { AppError, assert } from '../../core/errors.ts';
import { normalizer, selectExpression } from '../schema/column-sql.ts';
import { keyHolder } from '../schema/key-holder.ts';
import type { Table } from '../schema/table.ts';
import type { ServerConnection, Value } from '../server/connection.ts';
import { describeKey, isDuplicate, refusedRow, type Refusal } from './refusal.ts';
import { isSameOnOrigin } from './same-on-origin.ts';
import { narrowed, type ApplyStatement } from './table-statements.ts';
import { tableSql, whereValues } from './table-sql.ts';
import { rowKey, type FinalState } from './window.ts';

export interface PlaceRowsOptions {
  connection: ServerConnection;
  origin: () => Promise<ServerConnection>;
  /** Null: it was taken as it is. */
  run: (statement: ApplyStatement) => Promise<Refusal | null>;
  /** All rows of the table in this window. */
  states: readonly FinalState[];
}

/**
 * Inserts rows of a table that has unique keys over prefixes or expressions, while states are replayed: as `removeStaleRows`, but
 * the server is asked who is in the way, row by row, since such keys cannot be looked up by value. A row that is in the way
 * is removed where the origin cannot have had both (ADR 8); else APPLY_ROW_CONFLICT.
 */
export async function placeRows(options: PlaceRowsOptions, statement: ApplyStatement): Promise<void> {
  const { connection, run } = options;
  await connection.write('SAVEPOINT place');
  const refusal = await run(statement);
  if (refusal === null) return;
  await connection.write('ROLLBACK TO SAVEPOINT place');
  const { states } = statement;
  if (states.length > 1) {
    const middle = states.length >> 1;
    await placeRows(options, narrowed(statement, states.slice(0, middle)));
    await placeRows(options, narrowed(statement, states.slice(middle)));
    return;
  }
  if (!isDuplicate(refusal)) throw refusedRow(statement, refusal);
  await removeHolder(options, statement, refusal);
  // Another one may hold a value of another unique key.
  await placeRows(options, statement);
}

async function removeHolder(options: PlaceRowsOptions, statement: ApplyStatement, refusal: Refusal): Promise<void> {
  const { connection, states } = options;
  const { table, sql } = statement;
  const [taker] = statement.states;
  assert(taker !== undefined, 'a refused row is known');
  const found = await keyHolder(connection, table, sql);
  const holder = found === null ? null : await canonicalKey(connection, table, found);
  if (holder === null) throw refusedRow(statement, refusal);
  const name = rowKey(holder);
  // What the window itself leaves there is real.
  const isReal = states.some(({ key, image }) => image !== null && rowKey(key) === name);
  if (isReal || !(await isStale(options, { table, refusal, taker, holder })))
    throw conflict(statement, refusal, holder);
  const { deletePrefix, whereKeys } = tableSql(table);
  const { affectedRows } = await connection.write(
    `${deletePrefix}${whereKeys([{ key: holder, image: null, existed: true }])}`,
  );
  if (affectedRows !== 1) throw conflict(statement, refusal, holder);
}

async function isStale(
  { connection, origin }: PlaceRowsOptions,
  parts: { table: Table; refusal: Refusal; taker: FinalState; holder: Value[] },
): Promise<boolean> {
  const { table, refusal, taker, holder } = parts;
  const index = indexOf(refusal);
  if (index === undefined) return false;
  await using other = await origin();
  return await isSameOnOrigin({ origin: other, destination: connection, table, index, taker, holder });
}

function conflict(statement: ApplyStatement, refusal: Refusal, holder: Value[]): AppError {
  const { message, details, cause } = refusedRow(statement, refusal);
  return new AppError(
    'APPLY_ROW_CONFLICT',
    `${message}: row ${describeKey(holder)} is in the way, and the origin may have both`,
    { details: { ...details, holder: describeKey(holder) }, ...(cause === undefined ? {} : { cause }) },
  );
}

/** `Duplicate entry '…' for key 't.name'`; the value may hold anything. */
function indexOf(refusal: Refusal): string | undefined {
  if (refusal.kind !== 'error' || !(refusal.error.cause instanceof Error)) return undefined;
  return /for key '(?:[^'.]*\.)?([^'.]+)'$/.exec(refusal.error.cause.message)?.[1];
}

/** As images have it: a user variable, which the key has come through, makes 0 of the YEAR 0000. */
async function canonicalKey(connection: ServerConnection, table: Table, values: Value[]): Promise<Value[] | null> {
  const columns = (table.key?.columns ?? []).flatMap((index) => table.columns[index] ?? []);
  const [row] = await connection.rows(
    `SELECT ${columns.map(selectExpression).join(',')} FROM ${tableSql(table).name} WHERE ${whereValues(columns, [values], 'collation')}`,
  );
  if (row === undefined) return null;
  return columns.map((column, i) => {
    const normalize = normalizer(column);
    const value = row[i] ?? null;
    return value === null || normalize === null ? value : normalize(value);
  });
}
