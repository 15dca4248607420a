import { AppError } from '../../core/errors.ts';
import { comparand, insertColumns, literal, normalizer, selectExpression } from '../schema/column-sql.ts';
import { keyHolder } from '../schema/key-holder.ts';
import type { Column, Table } from '../schema/table.ts';
import { quoteName, type Bytes, type ServerConnection, type Value } from '../server/connection.ts';
import { keyColumns } from './key-range.ts';
import { keyText, shortValue } from './row-refused.ts';

/** A row that a unique key of the target kept out. */
export interface Collision {
  /** Of the columns that are inserted, then those of the key. */
  values: Value[];
  /** The same as SQL. */
  tuple: Bytes;
  /** What the target said: names the unique key. */
  message: string;
}

export interface CollisionScene {
  /** The source, idle. */
  reader: ServerConnection;
  /** The target, in the transaction of the chunk. */
  writer: ServerConnection;
  table: Table;
  collision: Collision;
}

/** Tries to place one row, each with a look at the source: more, and its values keep moving faster than they are read. */
const LOOKS_MAX = 100;

/**
 * Chunks are read at different times, so a unique value that moved from one row to another meanwhile can come with both. But
 * where the two rows are there together on the source, they are one row for a unique key of the target (a collation that
 * tells fewer texts apart, mostly), and one of them would be lost without a word.
 *
 * The judge is the target: it gets both rows as the source has them at one moment, and must be able to keep both. Then the
 * newcomer is placed as it is at that moment, and the other one gives way only if it is in the way still: it has been
 * changed since it was copied, so the stream brings it to its last state. What the source does not have any more is not
 * placed, or gives way: its deletion is in the stream. The copy's stamp is taken after all of that.
 */
export async function settleCollision(scene: CollisionScene): Promise<void> {
  const { reader, writer, table, collision } = scene;
  const sql = new CollisionSql(table);
  const key = collision.values.slice(sql.columns.length);
  let tuple = collision.tuple;
  for (let look = 1; ; look += 1) {
    const holder = await keyHolder(writer, table, `${sql.into('INSERT')}${tuple}`);
    if (holder === null) {
      await writer.write(`${sql.into('INSERT')}${tuple}`);
      return;
    }
    if (isSame(sql, holder, key)) {
      await writer.write(sql.delete(holder));
      continue;
    }
    const [there, newcomer] = await rowsTogether(reader, sql, [holder, key]);
    if (newcomer === undefined) return;
    if (there !== undefined && (look > LOOKS_MAX || !(await canKeepBoth(writer, sql, [there, newcomer]))))
      throw collided(table, sql, collision, holder);
    const now = sql.tuple(newcomer);
    // Changed since: it may have left the place.
    if (there === undefined || now === tuple) await writer.write(sql.delete(holder));
    tuple = now;
  }
}

class CollisionSql {
  readonly columns: Column[];
  readonly key: Column[];
  readonly table: Bytes;
  readonly #literals: ((value: Value) => Bytes)[];

  constructor(table: Table) {
    this.columns = insertColumns(table);
    this.key = keyColumns(table);
    this.table = `${quoteName(table.schema)}.${quoteName(table.name)}`;
    this.#literals = this.columns.map(literal);
  }

  into(verb: 'INSERT' | 'REPLACE'): Bytes {
    return `${verb} INTO ${this.table} (${this.columns.map(({ name }) => quoteName(name)).join(',')}) VALUES `;
  }

  replace(tuples: Bytes[]): Bytes {
    return this.into('REPLACE') + tuples.join(',');
  }

  tuple(values: Value[]): Bytes {
    return `(${this.#literals.map((format, i) => format(values[i] ?? null)).join(',')})`;
  }

  delete(key: Value[]): Bytes {
    return `DELETE FROM ${this.table} WHERE ${this.whereKey(key)}`;
  }

  whereKey(key: Value[]): Bytes {
    return this.key
      .map((column, i) => `${quoteName(column.name)} = ${comparand(column)(canonical(column, key[i] ?? null))}`)
      .join(' AND ');
  }
}

/** Rows as the source has them at one moment; undefined: it is no more. */
async function rowsTogether(
  reader: ServerConnection,
  sql: CollisionSql,
  keys: Value[][],
): Promise<(Value[] | undefined)[]> {
  const list = [...sql.columns, ...sql.key].map(selectExpression).join(',');
  // One statement, one view of the data; a parenthesis each, since UNION otherwise takes the names of the first only.
  const rows = await reader.rows(
    keys.map((key, i) => `(SELECT ${i},${list} FROM ${sql.table} WHERE ${sql.whereKey(key)})`).join(' UNION ALL '),
  );
  return keys.map((_, i) => rows.find(([number]) => number === String(i))?.slice(1));
}

async function canKeepBoth(writer: ServerConnection, sql: CollisionSql, pair: Value[][]): Promise<boolean> {
  await writer.write('SAVEPOINT switchyard_both');
  for (const values of pair) await writer.write(sql.replace([sql.tuple(values)]));
  const keys = pair.map((values) => values.slice(sql.columns.length));
  let kept = 0;
  for (const key of keys) {
    const rows = await writer.rows(
      `SELECT ${sql.key.map(selectExpression).join(',')} FROM ${sql.table} WHERE ${sql.whereKey(key)}`,
    );
    if (rows.some((row) => isSame(sql, row, key))) kept += 1;
  }
  await writer.write('ROLLBACK TO SAVEPOINT switchyard_both');
  return kept === pair.length;
}

/** By bytes: what is equal for a collation only is not the same row. */
function isSame({ key: columns }: CollisionSql, a: Value[], b: Value[]): boolean {
  return columns.every((column, i) => canonical(column, a[i] ?? null) === canonical(column, b[i] ?? null));
}

function canonical(column: Column, value: Value): Value {
  return value === null ? null : (normalizer(column)?.(value) ?? value);
}

function collided(table: Table, sql: CollisionSql, { values, message }: Collision, holder: Value[]): AppError {
  const index = /for key '(?:[^']*\.)?([^'.]+)'/.exec(message)?.[1] ?? 'a unique key';
  const key = index === 'PRIMARY' ? table.key : table.uniqueKeys.find(({ name }) => name === index);
  const parts = (key?.columns ?? []).flatMap((ordinal) => table.columns[ordinal] ?? []);
  const shown = parts.map((column) => `${column.name}=${shortValue(values[sql.columns.indexOf(column)] ?? null)}`);
  const keys = [keyText(sql.key, holder), keyText(sql.key, values.slice(sql.columns.length))];
  return new AppError(
    'COPY_ROWS_COLLIDE',
    `${table.schema}.${table.name}: the rows with the keys ${keys.join(' and ')} are both on the source, but the target's unique key ${index} does not tell them apart${shown.length === 0 ? '' : ` (${shown.join(', ')})`}: ${message}`,
    {
      details: {
        table: table.name,
        keys,
        index,
        column: parts[0]?.name ?? null,
        value: shortValue(values[parts[0] === undefined ? -1 : sql.columns.indexOf(parts[0])] ?? null),
      },
    },
  );
}
