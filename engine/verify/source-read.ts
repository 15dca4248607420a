import type { Flavor, StreamPosition } from '../../core/gtid.ts';
import type { Bytes, ServerConnection, Value } from '../server/connection.ts';
import { executedPosition, holdsSoon, openSnapshot, settledPosition } from '../server/position.ts';

export interface SourceRead {
  rows: Value[][];
  /** Everything that the rows show is in it. */
  until: StreamPosition;
}

export interface SourceReadOptions {
  connection: ServerConnection;
  flavor: Flavor;
  /** What the rows must show at least; undefined: no matter. */
  from: StreamPosition | undefined;
  sql: Bytes;
  signal: AbortSignal;
}

/**
 * Rows of one statement, between two positions: they show everything that is in `from`, and nothing that is not in
 * `until`. Answers null where that could not be had in a few seconds.
 *
 * MySQL: a transaction is visible once it is in gtid_executed, so `from` must be in there before the read. It is visible
 * a moment *before* it gets in there, too: `settledPosition` waits for those.
 *
 * MariaDB: gtid_binlog_pos runs ahead of what is visible, so it gives no `from`. A consistent snapshot has an exact place in
 * the binlog, which is both.
 */
export async function readBetween(options: SourceReadOptions): Promise<SourceRead | null> {
  return options.flavor === 'mysql' ? await readMysql(options) : await readMariadb(options);
}

async function readMysql({ connection, flavor, from, sql, signal }: SourceReadOptions): Promise<SourceRead | null> {
  const visible = async () => from === undefined || (await executedPosition(connection, flavor)).covers(from);
  if (!(await holdsSoon(visible, signal))) return null;
  const rows = await connection.rows(sql);
  const until = await settledPosition(connection, flavor, signal);
  return until === undefined ? null : { rows, until };
}

async function readMariadb({ connection, from, sql, signal }: SourceReadOptions): Promise<SourceRead | null> {
  let until: StreamPosition | undefined;
  // The session reads REPEATABLE READ.
  const snapshot = async () => {
    until = await openSnapshot(connection);
    if (from === undefined || until.covers(from)) return true;
    await connection.write('ROLLBACK');
    return false;
  };
  if (!(await holdsSoon(snapshot, signal)) || until === undefined) return null;
  const rows = await connection.rows(sql);
  await connection.write('ROLLBACK');
  return { rows, until };
}
