import { AppError } from '../../core/errors.ts';
import { parsePosition, type Flavor, type StreamPosition } from '../../core/gtid.ts';
import type { ServerDefinition } from '../api.ts';
import type { Table } from '../schema/table.ts';
import { ServerConnection } from '../server/connection.ts';
import { executedPosition } from '../server/position.ts';
import { isLogLost } from '../stray/is-log-lost.ts';
import { firstDdl } from '../stream/first-ddl.ts';
import type { LoggedDdl } from '../stream/transaction.ts';
import type { PreparedDefinitions } from './prepared-schema.ts';

export interface Beginning {
  origin: ServerDefinition;
  flavor: Flavor;
  /** Where the stream begins. */
  from: StreamPosition;
  database: string;
  allTables: boolean;
  prepared: PreparedDefinitions | undefined;
  /** See `ReplicationOptions`. */
  loadTables: () => Promise<Table[]>;
  tableNames: readonly string[];
  signal: AbortSignal;
}

/**
 * The imported tables as they were on the origin where a stream begins that has kept none yet: those that were prepared, else those
 * that there are by now. Row events do not say what they mean (ADR 10), so the log is looked at for DDL between: of columns of
 * one type that have changed places since nothing else would tell, and rows before it would come with their values exchanged.
 *
 * Rejects with STREAM_SCHEMA_CHANGED where that is not known any more, and as `ChangeStream` does.
 */
export async function tablesAt(beginning: Beginning): Promise<Table[]> {
  const { origin, flavor, from, prepared, loadTables, tableNames } = beginning;
  if (prepared !== undefined && (await areOfBeginning(prepared, beginning))) return prepared.tables;
  const tables = await loadTables();
  await using connection = await ServerConnection.open(origin);
  // Behind the tables: what they show is in the log by now, since reading them has waited for the locks of DDL under way.
  const until = await executedPosition(connection, flavor);
  const names = [...tableNames, ...tables.map(({ name }) => name)];
  const ddl = await firstDdl({ ...beginning, server: origin, from, until, names }, redefines);
  if (ddl === undefined) return tables;
  const message = `the tables were changed before the stream has begun, and are not known as they were where it begins: ${ddl.sql.slice(0, 200)}`;
  throw new AppError('STREAM_SCHEMA_CHANGED', message, { details: { sql: ddl.sql.slice(0, 500) } });
}

/** Of another log, or one that is gone: they are not known to be. */
async function areOfBeginning({ tables, position }: PreparedDefinitions, beginning: Beginning): Promise<boolean> {
  const { origin, flavor, from: begin, tableNames } = beginning;
  const readAt = parsePosition(flavor, position);
  // The row of a write-back (ADR 19), from which the stream goes on, may be of a time before they were read.
  const [from, until] = begin.covers(readAt) ? [readAt, begin] : [begin, readAt];
  if (!until.covers(from)) return false;
  // Also of those that were not there: one that was made meanwhile is.
  const names = [...tableNames, ...tables.map(({ name }) => name)];
  try {
    const ddl = await firstDdl({ ...beginning, server: origin, from, until, names }, (one) => !truncates(one));
    return ddl === undefined;
  } catch (error) {
    if (isLogLost(error)) return false;
    throw error;
  }
}

function truncates({ sql }: LoggedDdl): boolean {
  return /^\s*TRUNCATE\b/i.test(sql);
}

/** Not: a table that was not there before, or an index. */
function redefines(ddl: LoggedDdl): boolean {
  return !truncates(ddl) && !/^\s*CREATE\s+(?!OR\s+REPLACE\b)/i.test(ddl.sql);
}
