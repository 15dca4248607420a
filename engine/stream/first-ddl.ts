import type { Flavor, StreamPosition } from '../../core/gtid.ts';
import type { ServerDefinition } from '../api.ts';
import { ChangeStream } from './change-stream.ts';
import { isSameName } from './stream-scope.ts';
import { gtidsOf, type LoggedDdl } from './transaction.ts';
import { coversBut } from './withheld.ts';

const STREAM_BUFFER_BYTES_MAX = 1024 * 1024;
/** What is prepared (XA) comes without a transaction: how far the stream is has to be looked at now and then. */
const LOOK_MS = 200;

export interface LoggedRange {
  server: ServerDefinition;
  flavor: Flavor;
  /** What is looked at is behind it, */
  from: StreamPosition;
  /** and in it. */
  until: StreamPosition;
  database: string;
  /** Of tables that a statement may be about. */
  names: readonly string[];
  /** Also about such as come to be in the database. */
  allTables: boolean;
  signal: AbortSignal;
}

/**
 * The first DDL statement in a part of a log that may be about these tables and that `counts`; undefined where there is none. Rows are
 * passed over, whatever they are. Rejects as `ChangeStream` does.
 */
export async function firstDdl(
  { server, flavor, from, until, database, names, allTables, signal }: LoggedRange,
  counts: (ddl: LoggedDdl) => boolean,
): Promise<LoggedDdl | undefined> {
  const at = from.clone();
  if (at.covers(until)) return undefined;
  const inScope = (schema: string) => isSameName(schema, database);
  await using stream = await ChangeStream.open({
    server,
    flavor,
    from,
    tableOf: () => undefined,
    namesImported: (schema, name) => inScope(schema) && names.some((known) => isSameName(name, known)),
    takesNew: (schema) => allTables && inScope(schema),
    inScope,
    signal,
    bufferBytesMax: STREAM_BUFFER_BYTES_MAX,
  });
  while (!coversBut(at, until, () => stream.withheld())) {
    const transaction = await stream.nextWithin(LOOK_MS, signal);
    if (transaction === undefined) continue;
    const { ddl, gtid, partial } = transaction;
    if (ddl !== null && until.coversGtid(gtid) && counts(ddl)) return ddl;
    if (!partial) for (const moved of gtidsOf(transaction)) at.advance(moved);
  }
  return undefined;
}
