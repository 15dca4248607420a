import type { RowImage, Table } from '../schema/table.ts';

export type RowChange =
  | { kind: 'insert'; table: Table; after: RowImage }
  | { kind: 'update'; table: Table; before: RowImage; after: RowImage }
  | { kind: 'delete'; table: Table; before: RowImage };

/** One committed transaction of the origin, in commit order. Those without changes in scope still move the position. */
export interface StreamTransaction {
  /** MySQL `uuid:n` (with tag where there is one), MariaDB `domain-server-sequence`. */
  gtid: string;
  /** Commit time at the origin, ms since the epoch (MySQL: microsecond timestamps of the GTID event; MariaDB: seconds). */
  committedAtMs: number;
  /** True when it touched `_switchyard`: one of ours, not to be replicated (I7). */
  ours: boolean;
  changes: RowChange[];
  /** A DDL statement that touches, or may touch, an imported table; it is a transaction of its own. */
  ddl: { schema: string; sql: string } | null;
  /** What it occupies in memory, about. */
  bytes: number;
}
