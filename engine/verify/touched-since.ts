import { AppError } from '../../core/errors.ts';
import type { Flavor, StreamPosition } from '../../core/gtid.ts';
import type { ServerDefinition } from '../api.ts';
import { keyValues, rowKey } from '../apply/window.ts';
import type { Table } from '../schema/table.ts';
import { ChangeStream } from '../stream/change-stream.ts';
import type { LoggedQuery } from '../stream/query-event.ts';
import { isSameName, type OwnTables } from '../stream/stream-scope.ts';
import { gtidsOf, type RowChange } from '../stream/transaction.ts';
import { broughtRows } from '../write-back/judged-source.ts';
import type { DirtyKeys } from './dirty-keys.ts';

const BUFFER_BYTES_MAX = 4 * 1024 * 1024;

export interface TouchedSinceOptions {
  server: ServerDefinition;
  flavor: Flavor;
  /** Everything in it has been compared. */
  from: StreamPosition;
  /** Whoever listens to the replication hears of everything behind it. */
  until: StreamPosition;
  database: string;
  /** Of the source, as they are at `until`, or later. */
  tables: readonly Table[];
  dirty: DirtyKeys;
  /** Of the source, where the write-back runs: its transactions are ours, and change rows all the same. */
  ownTables?: OwnTables | undefined;
  /** See `StreamScope`. */
  isOwnImport?: ((importId: string) => boolean) | undefined;
  /** DDL that names one of the tables. What it throws ends the search. */
  onDdl: (ddl: LoggedQuery) => void;
  /** Rows of this table were written with another definition than it has by now, or are not of interest any more. */
  onRedefined: (table: string) => void;
  /** Whether the rows of this table are compared in any case. */
  isRedefined: (table: string) => boolean;
  signal: AbortSignal;
}

/**
 * Reads from the source's log which rows were written while nobody listened: after a restart of the engine. Rejects with
 * STREAM_PURGED where the log is gone.
 */
export async function touchedSince(options: TouchedSinceOptions): Promise<void> {
  const { from, until, isRedefined, onRedefined } = options;
  const seen = from.clone();
  const passedOver = new Set<string>();
  while (!seen.covers(until)) {
    try {
      await readOn(options, seen);
    } catch (error) {
      const table = unreadableTable(error);
      if (table === undefined || passedOver.has(table)) throw error;
      passedOver.add(table);
      // What is read ahead was judged before the DDL in front of it was heard of.
      if (!isRedefined(table)) onRedefined(table);
    }
  }
}

async function readOn(options: TouchedSinceOptions, seen: StreamPosition): Promise<void> {
  const { server, flavor, until, database, dirty, ownTables, isOwnImport, onDdl, isRedefined, signal } = options;
  const tables = new Map(options.tables.map((table) => [table.name, table]));
  await using stream = await ChangeStream.open({
    server,
    flavor,
    from: seen.clone(),
    tableOf: (schema, name) => (schema === database && !isRedefined(name) ? tables.get(name) : undefined),
    namesImported: (schema, name) =>
      isSameName(schema, database) && tables.keys().some((known) => isSameName(name, known)),
    inScope: (schema) => isSameName(schema, database),
    ...(ownTables === undefined ? {} : { ownTables }),
    ...(isOwnImport === undefined ? {} : { isOwnImport }),
    signal,
    bufferBytesMax: BUFFER_BYTES_MAX,
  });
  while (!seen.covers(until)) {
    const transaction = await stream.next(signal);
    if (transaction.ddl !== null && !transaction.ours) onDdl(transaction.ddl);
    // Parts that turn out to be void are looked at for nothing.
    const changes = transaction.ours ? broughtRows(transaction, tables) : transaction.changes;
    for (const change of changes) if (!isRedefined(change.table.name)) dirty.touch(change.table.name, keysOf(change));
    if (!transaction.partial) for (const gtid of gtidsOf(transaction)) seen.advance(gtid);
  }
}

/** Its rows do not fit the definition that it has by now. */
function unreadableTable(error: unknown): string | undefined {
  if (!(error instanceof AppError) || error.code !== 'STREAM_SCHEMA_CHANGED') return undefined;
  const { table } = error.details;
  return typeof table === 'string' ? table : undefined;
}

export function ddlSince(sql: string): AppError {
  return new AppError('VERIFY_STALE', `a table was changed by DDL since: ${sql.slice(0, 200)}`);
}

function keysOf(change: RowChange) {
  const images =
    change.kind === 'insert'
      ? [change.after]
      : change.kind === 'delete'
        ? [change.before]
        : [change.before, change.after];
  return images.map((image) => {
    const values = keyValues(change.table, image);
    return { key: rowKey(values), values };
  });
}
