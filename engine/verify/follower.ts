import type { StreamPosition } from '../../core/gtid.ts';
import type { RowKey } from '../apply/window.ts';
import type { Value } from '../server/connection.ts';
import type { LoggedQuery } from '../stream/query-event.ts';

/**
 * `every`: any key of the table may have been written, too many to name them. `some`: foreign keys that the origin does not
 * log may have written some (ADR 22).
 */
export type TouchedRows = Iterable<{ key: RowKey; values: Value[] }> | 'every' | 'some';
export type TouchListener = (tableName: string, keys: TouchedRows) => void;

export interface DdlListener {
  /** A statement on imported tables is about to be replicated; some day it may have been, after a failure. */
  begins: (ddl: LoggedQuery) => void;
  /**
   * Behind it, before it counts as applied, perhaps more than once: of the imported tables that it has to do with, those that
   * there are, as they are called now, and those that are gone.
   */
  ends: (tables: DdlOutcome) => void;
  /** A session of the stream begins behind every statement that was told of so far; these are the imported tables there. */
  imported: (names: readonly string[]) => void;
}

export interface DdlOutcome {
  there: string[];
  gone: string[];
}

/**
 * What verification needs to know of the replication that keeps the target up to date; `Replication` has it all. The
 * argument in recheck-keys.ts rests on each sentence here.
 */
export interface Follower {
  /**
   * Everything in it is applied on the target, and every window that listeners have heard of is in it. Undefined while
   * nothing is known (no connection yet).
   */
  readonly applied: StreamPosition | undefined;
  /** Resolves when everything in `position` is applied on the target; rejects when replication stops or `signal` aborts. */
  waitFor(position: StreamPosition, signal: AbortSignal): Promise<void>;
  /**
   * The keys of every window after the attempt to commit it, also after one that failed or whose COMMIT had no answer:
   * it may have happened.
   */
  onTouched(listener: TouchListener): Disposable;
  onDdl(listener: DdlListener): Disposable;
  /**
   * Resolves when whatever was being written to the target at the time of the call has been told to the listeners: a window
   * that is being committed, and testers' transactions that are not on the source yet.
   */
  reported(signal: AbortSignal): Promise<void>;
}
