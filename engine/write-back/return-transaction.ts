import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import { rowKey } from '../apply/window.ts';
import { isLocked } from '../apply/window-writer.ts';
import { insertColumns } from '../schema/column-sql.ts';
import { isHarmlessWarning } from '../schema/harmless-warning.ts';
import type { RowImage, Table } from '../schema/table.ts';
import { errnoOf, textOf, type Bytes, type ServerConnection, type Value } from '../server/connection.ts';
import { takenOver, type DurablePosition, type ProgressRow } from '../sidecar.ts';
import { imageOf } from '../stray/stray-image.ts';
import type { RowChange } from '../stream/transaction.ts';
import { DELETE_MESSAGES, insertMessage, sumOf, type LostChange, type Message } from './message.ts';
import {
  assignments,
  Conflict,
  differingColumns,
  fullImage,
  keyOf,
  lockedRow,
  namedRow,
  tableName,
  whereKey,
  whereKeys,
  type NamedRow,
} from './source-rows.ts';

/** MariaDB since 11.6, REPEATABLE READ: somebody has changed a row since our transaction began. */
const CHANGED_SINCE = 1020;
const NO_SUCH_TABLE = 1146;
const RETRIES_MAX = 10;
const RETRY_JITTER_MS = 50;
/** Asked for at once. */
const KEYS_MAX = 500;

/**
 * What a server says of a row or a table: duplicates, foreign keys, checks, values, a trigger's own SIGNAL, a table or column
 * that is not there any more. Anything else is about the server.
 */
const ABOUT_ROWS: ReadonlySet<number> = new Set([
  1048, 1054, 1062, 1146, 1169, 1216, 1217, 1264, 1265, 1292, 1364, 1366, 1406, 1451, 1452, 1557, 1586, 1644, 1690,
  3140, 3819, 4025,
]);

/** A tester's transaction, whole. */
export interface Returning {
  gtid: string;
  committedAtMs: number;
  changes: readonly RowChange[];
  /** Becomes durable with it: of the target, this transaction included. */
  durable: DurablePosition;
  /** How far the stream to the target was applied there when it was committed; null: not known. */
  seen: string | null;
}

export interface ReturnOptions {
  /** Of the source; needs `multiStatements`. */
  connection: ServerConnection;
  progress: ProgressRow;
  owner: string;
  /** The imported tables of the source as they are now; asked within a transaction that keeps them so. */
  loadTables: (connection: ServerConnection) => Promise<Table[]>;
}

/**
 * Brings transactions of the target to the source, each whole or not at all. Every row must be on the source what the tester
 * found on the target. Otherwise, and where the source refuses one, the source wins: then the transaction of the source says
 * what it has for each key of the tester's rows, and the stream to the target, which reads that at its place, writes it there
 * and keeps what was lost (`JudgedSource`).
 */
export class ReturningTransactions {
  readonly #options: ReturnOptions;
  #tables: ReadonlyMap<string, Table>;

  constructor(options: ReturnOptions, tables: readonly Table[]) {
    this.#options = options;
    this.#tables = byName(tables);
  }

  /** Null when it was applied; otherwise why not. Rejects with STREAM_TAKEN_OVER, APPLY_LOCKED_OUT, or about the server. */
  async bring(transaction: Returning): Promise<string | null> {
    const reason = await this.#trying(() => this.#apply(transaction));
    if (reason !== null) await this.#trying(() => this.#keepConflict(transaction, reason));
    return reason;
  }

  async #trying<T>(work: () => Promise<T>): Promise<T> {
    const { connection } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work();
      } catch (error) {
        if (connection.broken) throw error;
        await connection.write('ROLLBACK');
        if (!isLocked(error) && errnoOf(error) !== CHANGED_SINCE) throw error;
        if (attempt >= RETRIES_MAX) throw new AppError('APPLY_LOCKED_OUT', (error as Error).message, { cause: error });
        await delay(Math.random() * RETRY_JITTER_MS);
      }
    }
  }

  async #apply(transaction: Returning): Promise<string | null> {
    const { connection } = this.#options;
    const { gtid, seen, changes } = transaction;
    await this.#begin(transaction, { kind: 'applied', gtid, seen, sum: sumOf(changes) });
    try {
      for (const change of changes) await this.#change(change);
      await this.#checkKeys(changes);
    } catch (error) {
      const reason = conflictOf(error);
      if (reason === null || connection.broken) throw error;
      await connection.write('ROLLBACK');
      return reason;
    }
    await this.#commit();
    return null;
  }

  /** The progress row first: it marks the transaction as ours (I7). */
  async #begin({ durable, committedAtMs }: Returning, message: Message): Promise<void> {
    const { connection, progress, owner } = this.#options;
    const results = await connection.batch([
      'BEGIN',
      progress.updateStatement(owner, durable, committedAtMs),
      insertMessage(0, message),
    ]);
    if (results[1]?.affectedRows !== 1) throw takenOver();
  }

  async #commit(): Promise<void> {
    const { connection } = this.#options;
    await connection.write(DELETE_MESSAGES);
    await failpoint('write_back.before_commit');
    await connection.write('COMMIT');
    await failpoint('write_back.after_commit');
  }

  async #change(change: RowChange): Promise<void> {
    const { connection } = this.#options;
    const table = this.#tableOf(change);
    const before = change.kind === 'insert' ? null : namedRow(change.table, change.before);
    const after = change.kind === 'delete' ? null : namedRow(change.table, change.after);
    const where = before === null ? '' : ` WHERE ${await this.#asFound(change, table, before)}`;
    const values = after === null ? [] : assignments(table, after);
    const { affectedRows, warnings } = await connection.write(changeStatement(table, where, values));
    if (warnings > 0) {
      const texts = (await connection.warnings()).filter((text) => !isHarmlessWarning(text));
      if (texts.length > 0) throw new Conflict(`the source would change a value: ${texts.join('; ')}`);
    }
    // An update to what the row is already affects none; one that a trigger of the source has turned back is not logged there either.
    if (affectedRows > 1 || (affectedRows === 0 && !isVoid(table, { before, after })))
      throw new Conflict(
        `${affectedRows} rows of the source would change instead of one (${change.kind} in ${table.name})`,
      );
  }

  /**
   * Each row that the tester has left is there under its key: a trigger of the source that gives it another one would leave the
   * tester's on the target alone, since what the source logs of it is another row.
   */
  async #checkKeys(changes: readonly RowChange[]): Promise<void> {
    for (const [table, keys] of this.#leftKeys(changes)) {
      for (let first = 0; first < keys.length; first += KEYS_MAX) {
        const some = keys.slice(first, first + KEYS_MAX);
        const [row] = await this.#options.connection.rows(
          `SELECT COUNT(*) FROM ${tableName(table)} WHERE ${whereKeys(table, some)}`,
        );
        if (row?.[0] !== String(some.length))
          throw new Conflict(`the source has given a row of ${table.name} another key`);
      }
    }
  }

  #leftKeys(changes: readonly RowChange[]): Map<Table, Value[][]> {
    const left = new Map<Table, Map<string, Value[]>>();
    for (const change of changes) {
      const table = this.#tableOf(change);
      const keys = left.get(table) ?? new Map<string, Value[]>();
      left.set(table, keys);
      if (change.kind !== 'insert') keys.delete(rowKey(keyOf(table, namedRow(change.table, change.before))));
      if (change.kind === 'delete') continue;
      const key = keyOf(table, namedRow(change.table, change.after));
      keys.set(rowKey(key), key);
    }
    return new Map([...left].map(([table, keys]) => [table, [...keys.values()]]));
  }

  /** A condition for the row, which is locked and what the tester found. */
  async #asFound(change: RowChange, table: Table, before: ReturnType<typeof namedRow>): Promise<Bytes> {
    const key = keyOf(table, before);
    const row = await lockedRow(this.#options.connection, table, key);
    if (row === undefined) throw new Conflict(`the row is not on the source (${change.kind} in ${table.name})`);
    const columns = differingColumns(table, row, before, change.table);
    if (columns.length > 0)
      throw new Conflict(
        `the row is another one on the source, in ${columns.join(', ')} (${change.kind} in ${table.name})`,
      );
    return whereKey(table, key);
  }

  #tableOf({ table: { name, columns } }: RowChange): Table {
    const table = this.#tables.get(name);
    if (table === undefined) throw new Conflict(`there is no table ${name} on the source`);
    const unknown = columns.find(
      (column) => column.generated === null && !table.columns.some((known) => known.name === column.name),
    );
    if (unknown !== undefined) throw new Conflict(`${name} has no column ${unknown.name} on the source`);
    return table;
  }

  /**
   * REPEATABLE READ, so that a row that is not there stays so until the end: an application's INSERT of that key waits, and
   * comes after this place in the log. Tables that are not as they were are read anew, once they are locked against DDL.
   */
  async #keepConflict(transaction: Returning, reason: string): Promise<void> {
    const { connection, loadTables } = this.#options;
    const { gtid, committedAtMs, changes } = transaction;
    await connection.write('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    await this.#begin(transaction, { kind: 'conflict', gtid, committedAtMs, reason });
    let isAsKnown = true;
    for (const name of new Set(changes.map(({ table }) => table.name))) {
      const known = this.#tables.get(name);
      isAsKnown &&= known !== undefined && (await isStill(connection, known));
    }
    if (!isAsKnown) this.#tables = byName(await loadTables(connection));
    let number = 1;
    for (const change of changes) {
      await connection.write(insertMessage(number, await this.#lost(change)));
      number += 1;
    }
    await this.#commit();
  }

  async #lost(change: RowChange): Promise<LostChange> {
    const { table: target, kind } = change;
    const images = [...(kind === 'insert' ? [] : [change.before]), ...(kind === 'delete' ? [] : [change.after])];
    return {
      kind: 'lost',
      table: target.name,
      change: kind,
      before: kind === 'insert' ? null : imageOf(target, change.before),
      after: kind === 'delete' ? null : imageOf(target, change.after),
      now: await this.#now(target, images),
    };
  }

  async #now(target: Table, images: RowImage[]): Promise<LostChange['now']> {
    const { connection } = this.#options;
    const table = this.#tables.get(target.name);
    if (table === undefined) return [];
    const now: LostChange['now'] = [];
    const seen = new Set<string>();
    for (const image of images) {
      const key = keyOf(table, namedRow(target, image));
      if (seen.has(JSON.stringify(key))) continue;
      seen.add(JSON.stringify(key));
      const row = await lockedRow(connection, table, key);
      now.push({
        key: imageOf(table, keyImage(table, key)),
        row: row === undefined ? null : imageOf(table, await fullImage(connection, table, key, row)),
      });
    }
    return now;
  }
}

function changeStatement(table: Table, where: Bytes, values: { column: Bytes; value: Bytes }[]): Bytes {
  const name = tableName(table);
  if (values.length === 0) return `DELETE FROM ${name}${where}`;
  if (where !== '')
    return `UPDATE ${name} SET ${values.map(({ column, value }) => `${column}=${value}`).join(',')}${where}`;
  const columns = values.map(({ column }) => column).join(',');
  return `INSERT INTO ${name} (${columns}) VALUES (${values.map(({ value }) => value).join(',')})`;
}

/** Whether an update leaves the columns of the source's table as they are. */
function isVoid(table: Table, { before, after }: { before: NamedRow | null; after: NamedRow | null }): boolean {
  if (before === null || after === null) return false;
  return insertColumns(table).every((column) => before.value(column) === after.value(column));
}

/** Null: it is not about the rows. */
function conflictOf(error: unknown): string | null {
  if (error instanceof Conflict) return error.message;
  const errno = errnoOf(error);
  if (errno === undefined || !ABOUT_ROWS.has(errno)) return null;
  return error instanceof Error && error.cause instanceof Error ? textOf(error.cause.message) : String(error);
}

function keyImage(table: Table, key: Value[]): RowImage {
  return table.columns.map((_, index) => {
    const at = table.key?.columns.indexOf(index) ?? -1;
    return at === -1 ? undefined : key[at];
  });
}

function byName(tables: readonly Table[]): Map<string, Table> {
  return new Map(tables.map((table) => [table.name, table]));
}

/** Locks the table against DDL. Its counter moves with every row. */
async function isStill(connection: ServerConnection, table: Table): Promise<boolean> {
  const name = tableName(table);
  const definition = (sql: string) => sql.replace(/\bAUTO_INCREMENT=\d+ ?/, '');
  try {
    await connection.rows(`SELECT 1 FROM ${name} LIMIT 0`);
    const [row] = await connection.rows(`SHOW CREATE TABLE ${name}`);
    return definition(textOf(row?.[1] ?? '')) === definition(table.createSql);
  } catch (error) {
    if (errnoOf(error) !== NO_SUCH_TABLE) throw error;
    return false;
  }
}
