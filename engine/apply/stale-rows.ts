import type { Table, TableKey } from '../schema/table.ts';
import { normalizer, selectExpression } from '../schema/column-sql.ts';
import type { Bytes, ServerConnection, Value } from '../server/connection.ts';
import { AppError, assert } from '../../core/errors.ts';
import { storedIn } from './as-stored.ts';
import { describeKey } from './refusal.ts';
import type { TableShare } from './table-statements.ts';
import { isComparedByBytes, tableSql, whereValues } from './table-sql.ts';
import { rowKey, type FinalState } from './window.ts';

/** Rows in one question. */
const ROWS_MAX = 200;

export interface StaleRowsOptions {
  connection: ServerConnection;
  origin: () => Promise<ServerConnection>;
  share: TableShare;
}

/**
 * While states are replayed, a row on the destination may hold a unique value that the origin had given to another row
 * by the time of the window: it is of a later time (from the copy, or from a lane that was ahead) or of no time of the
 * origin's. Called when the window's own rows are taken away and its final states not written yet, so that whatever holds
 * one of their values is such a row. It is removed: its own final state follows in the stream (ADR 8).
 *
 * That is proven only where the origin itself takes the two values for equal, so that it cannot have had both. Equal bytes
 * are equal everywhere; for others the origin is asked, by its own collation. Where it tells them apart and the
 * destination does not, both rows are real, and the destination cannot hold them: APPLY_ROW_CONFLICT.
 *
 * Holders of keys over prefixes or expressions cannot be looked up by value: `placeRows` finds them.
 */
export async function removeStaleRows({ connection, origin, share }: StaleRowsOptions): Promise<void> {
  const { table } = share;
  assert(table.key !== null, 'a table without a key is never applied');
  const takers = share.states.filter(({ image }) => image !== null);
  for (const key of [table.key, ...table.uniqueKeys.filter(({ whole }) => whole)]) {
    for (let first = 0; first < takers.length; first += ROWS_MAX) {
      const part = takers
        .slice(first, first + ROWS_MAX)
        .filter((state) => valuesOf(key, state).every((v) => v !== null));
      if (part.length > 0) await removeHolders({ connection, origin, table, key, takers: part });
    }
  }
}

export function hasUnknownHolders({ uniqueKeys }: Table): boolean {
  return uniqueKeys.some(({ whole }) => !whole);
}

interface HoldersOptions {
  connection: ServerConnection;
  origin: () => Promise<ServerConnection>;
  table: Table;
  key: TableKey;
  takers: readonly FinalState[];
}

async function removeHolders(options: HoldersOptions): Promise<void> {
  const { connection, table, key, takers } = options;
  const { name, deletePrefix, whereKeys } = tableSql(table);
  const holders = await connection.rows(
    `SELECT ${[...(table.key?.columns ?? []), ...key.columns].map((index) => selectExpression(columnAt(table, index))).join(',')} ` +
      `FROM ${name} WHERE ${whereTakers(table, key, takers)}`,
  );
  const taken = new Set(takers.map((taker) => rowKey(valuesOf(key, taker))));
  await using stack = new AsyncDisposableStack();
  let asked: EqualOnes | undefined;
  const onOrigin = async () => (asked ??= await equalOnes(stack.use(await options.origin()), { table, key }));
  for (const row of holders) {
    const width = table.key?.columns.length ?? 0;
    const holder = normalized(table, table.key?.columns ?? [], row.slice(0, width));
    const values = normalized(table, key.columns, row.slice(width));
    if (!taken.has(rowKey(values)) && !(await isEqualOnOrigin(options, values, onOrigin))) {
      throw await conflict(options, holder, values);
    }
    await connection.write(`${deletePrefix}${whereKeys([{ key: holder, image: null, existed: true }])}`);
  }
}

/** Whether the origin takes the holder's values for those of one of the takers. */
async function isEqualOnOrigin(
  { table, key, takers }: HoldersOptions,
  values: Value[],
  onOrigin: () => Promise<EqualOnes>,
): Promise<boolean> {
  if (key.columns.every((index) => isComparedByBytes(columnAt(table, index)))) return false;
  const count = await onOrigin();
  return (await count(takers, values)) > 0;
}

/** How many of the takers have these values, by the collations of the table on a server. */
type EqualOnes = (takers: readonly FinalState[], values: Value[]) => Promise<number>;

async function equalOnes(
  connection: ServerConnection,
  { table, key }: Pick<HoldersOptions, 'table' | 'key'>,
): Promise<EqualOnes> {
  const stored = await storedIn(connection, table);
  return async (takers, values) => {
    const one = stored(key.columns.map((index, i) => [columnAt(table, index), values[i] ?? null]));
    const where = whereTakers(table, key, takers);
    const rows = await connection.rows(`SELECT COUNT(*) FROM ${one} AS holder WHERE ${where}`);
    return Number(rows[0]?.[0] ?? 0);
  };
}

async function conflict(options: HoldersOptions, holder: Value[], values: Value[]): Promise<AppError> {
  const { connection, table, key, takers } = options;
  let taker = takers[0];
  const count = await equalOnes(connection, options);
  for (const candidate of takers) {
    if ((await count([candidate], values)) > 0) {
      taker = candidate;
      break;
    }
  }
  const column = columnAt(table, key.columns[0] ?? -1).name;
  const described = describeKey(taker?.key ?? []);
  return new AppError(
    'APPLY_ROW_CONFLICT',
    `${table.schema}.${table.name}, row ${described}, column ${column}, value ${describeKey(taker === undefined ? [] : valuesOf(key, taker))}: ` +
      `row ${describeKey(holder)} has ${describeKey(values)} in the unique key ${key.name}, which is the same on the destination and another value on the origin`,
    { details: { schema: table.schema, table: table.name, key: described, column, holder: describeKey(holder) } },
  );
}

function whereTakers(table: Table, key: TableKey, takers: readonly FinalState[]): Bytes {
  const columns = key.columns.map((index) => columnAt(table, index));
  const lists = takers.map((taker) => valuesOf(key, taker));
  return whereValues(columns, lists, 'collation');
}

function valuesOf(key: TableKey, { image }: FinalState): Value[] {
  return key.columns.map((index) => image?.[index] ?? null);
}

function normalized(table: Table, columns: readonly number[], values: Value[]): Value[] {
  return columns.map((index, i) => {
    const value = values[i] ?? null;
    const normalize = normalizer(columnAt(table, index));
    return value === null || normalize === null ? value : normalize(value);
  });
}

function columnAt(table: Table, index: number) {
  const column = table.columns[index];
  assert(column !== undefined, `column ${index} of ${table.name}`);
  return column;
}
