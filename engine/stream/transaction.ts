import type { RowImage, Table } from '../schema/table.ts';
import type { LoggedQuery } from './query-event.ts';
import type { TableName } from './statement-effect.ts';

/** `unchecked`: the session at the origin had foreign_key_checks=0. */
export type RowChange =
  | { kind: 'insert'; table: Table; after: RowImage }
  | { kind: 'update'; table: Table; before: RowImage; after: RowImage; unchecked?: true }
  | { kind: 'delete'; table: Table; before: RowImage; unchecked?: true };

/**
 * One committed transaction of the origin, in commit order. Those without changes in scope still move the position.
 *
 * A large one comes in parts, which follow each other directly and have the same `gtid`. Only the last one (not `partial`)
 * says that it is complete: positions move with it alone. Two things can make the parts before void, and whoever has
 * applied them must undo that:
 * - the last part says `ours`: the rows that mark the transaction came late in it;
 * - the next transaction has another `gtid`: a crash of the server had cut the first one off in its log.
 */
export interface StreamTransaction {
  /** MySQL `uuid:n` (with tag where there is one), MariaDB `domain-server-sequence`. */
  gtid: string;
  /** Commit time at the origin, ms since the epoch (MySQL: microsecond timestamps of the GTID event; MariaDB: seconds). */
  committedAtMs: number;
  /** See `stampIn`. */
  stamp?: string;
  /**
   * MySQL: the XA PREPARE that this transaction commits or rolls back. It has a GTID of its own and is not given out: were
   * it in a durable position before its end is known, its rows would not be read again after a restart.
   */
  prepared: string | null;
  /**
   * MariaDB: with this transaction applied, XA transactions are prepared whose end is still to come. Whoever goes on behind it has to
   * read from here, so that their rows are known then (`ReadAgain`).
   */
  readFrom?: string;
  /** True when it touched `_switchyard`: one of ours, not to be replicated (I7). */
  ours: boolean;
  /** Empty where it is ours, but for those that a row of an own table says are to be kept (`OwnTables`). */
  changes: RowChange[];
  /** Rows of the own tables that are read. */
  own?: RowChange[];
  /** A DDL statement that touches, or may touch, an imported table; it is a transaction of its own. */
  ddl: LoggedDdl | null;
  /** Logged as statements, which name no imported table and were run elsewhere: looked at and dropped by `ChangeStream`. */
  statements?: { sql: string; mentions: TableName[] }[];
  /** A statement in it may have made stored code, or changed it. */
  redefines?: boolean;
  /** What it occupies in memory, about. */
  bytes: number;
  /** More of the same transaction follows. */
  partial: boolean;
}

export interface LoggedDdl extends LoggedQuery {
  /** It makes a table that is not imported yet together with rows, which are passed over: CREATE TABLE … SELECT. */
  withRows: boolean;
}

/** What positions move by with a transaction. */
export function gtidsOf({ gtid, prepared }: StreamTransaction): string[] {
  return prepared === null ? [gtid] : [prepared, gtid];
}
