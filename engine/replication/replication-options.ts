import type { AppError } from '../../core/errors.ts';
import type { ServerDefinition, ServerFacts } from '../api.ts';
import type { ApplyWindow, TableWindow } from '../apply/window.ts';
import type { Table } from '../schema/table.ts';
import type { Direction } from '../sidecar.ts';
import type { Definitions } from '../ddl/stream-schema.ts';
import type { OwnTables } from '../stream/stream-scope.ts';
import type { LoggedDdl, StreamTransaction } from '../stream/transaction.ts';
import type { WriteBackTally } from '../write-back/judged-source.ts';

export interface DdlTransaction extends StreamTransaction {
  ddl: LoggedDdl;
  /** See `foreignTables`. */
  foreign: readonly string[];
  /** See `numberedOtherwise`. */
  numbered?: string | undefined;
}

/** Does what the policy says with a DDL statement on an imported table; answers whether the destination has executed it. */
export type DdlHandler = (transaction: DdlTransaction) => Promise<'applied' | 'skipped'>;

export interface ReplicationOptions {
  importId: string;
  direction: Direction;
  origin: ServerDefinition;
  destination: ServerDefinition;
  flavor: ServerFacts['flavor'];
  database: string;
  /** In the log of the origin: see `StreamScope`. Left out: this import's name is. */
  isOwnImport?: (importId: string) => boolean;
  /** The import is of the whole database: what is created in it is imported too. */
  allTables?: boolean;
  /**
   * From this position on the destination is what the origin was, but for this stream: then every change must find the
   * rows that it expects, and stops the stream where it does not. Left out: rows may be of another time or of somebody
   * else (the copy, stray writes), and the origin wins.
   */
  exactFrom?: string;
  /**
   * Until this position rows that were copied are of different, later times: see `checkDdlDuringCopy`. Foreign keys whose doings the
   * origin does not log are followed behind it only (`Cascades`). Left out: nothing was copied.
   */
  copiedUntil?: string;
  /** At `copiedUntil`, what foreign keys should have taken away until then is removed once. */
  cascades?: { settled: boolean; onSettled: () => Promise<void> };
  /**
   * The imported tables as they are on the origin now, but for those that are gone there; asked when the stream begins, from then on it
   * keeps track itself.
   */
  loadTables: () => Promise<Table[]>;
  /** Of those that are imported, whether they are there or not; left out: of what `loadTables` answers. */
  tableNames?: () => readonly string[];
  /** Hears the names of the imported tables that there are, in each session and after each DDL statement. */
  onTables?: (names: string[]) => Promise<void>;
  /** Before every session, while nothing has been claimed yet; what it rejects with ends the session. */
  mayBegin?: (signal: AbortSignal) => Promise<void>;
  /** At the beginning of every session, before anything is applied; what it rejects with ends the session. */
  beforeSession?: () => Promise<void>;
  onDdl: DdlHandler;
  /** Hears what a DDL statement has made of the imported tables, before its position counts as applied; perhaps more than once. */
  onRedefined?: (changed: Definitions) => Promise<void>;
  /** Hears the tables and keys of each window after the attempt to commit it, failed or not: it may have happened. */
  onApplied?: (tables: Iterable<TableWindow>) => void;
  /** The same for a transaction in parts, whose keys are too many to be remembered: any key of these tables. */
  onAppliedLarge?: (tables: Iterable<string>) => void;
  /** Foreign keys may have changed rows of these tables with those of which `onApplied` told: any of them, or none. */
  onCascaded?: (tables: Iterable<string>) => void;
  /** The write-back runs in the other direction: what it does on the origin is judged before it is applied (ADR 19). */
  writeBack?: WriteBackSide;
  onRetry?: (error: AppError) => void;
  /** After so long without a sign of life a server is taken for gone: the origin, which sends heartbeats, and the destination. */
  silence?: { originMs: number; destinationMs: number };
}

export interface WriteBackSide {
  tally: WriteBackTally;
  /** Of the origin. */
  ownTables: () => Promise<OwnTables | undefined>;
  /** After they were stored on the destination. */
  onLost: (lost: ApplyWindow['lost']) => void;
}
