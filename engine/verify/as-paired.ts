import { AppError } from '../../core/errors.ts';
import { executedPosition } from '../server/position.ts';
import type { ConnectionPair, Flavors } from './connection-pair.ts';
import type { Follower } from './follower.ts';
import type { TablePair } from './table-pair.ts';

export interface PairedContext {
  isPaired: (table: TablePair) => boolean;
  flavors: Flavors;
  follower: Follower;
  signal: AbortSignal;
}

/**
 * A look at a table, with `pair`. Undefined where DDL on the table was heard of until its end: what was read may be of two
 * definitions, and an error of the statement.
 */
export async function asPaired<T>(
  { isPaired, flavors, follower, signal }: PairedContext,
  pair: ConnectionPair,
  table: TablePair,
  look: () => Promise<T>,
): Promise<T | undefined> {
  try {
    const result = await look();
    return isPaired(table) ? result : undefined;
  } catch (error) {
    signal.throwIfAborted();
    if (isLasting(error) && isPaired(table)) {
      // The source has run the statement, and the stream may not have come to it.
      await follower.waitFor(await pair.use(({ source }) => executedPosition(source, flavors.source)), signal);
    }
    if (isPaired(table)) throw error;
    return undefined;
  }
}

/** Of the rows themselves. All else passes, or stops the replication, which then says so itself. */
export function isLasting(error: unknown): boolean {
  return !(error instanceof AppError) || error.code === 'SERVER_ERROR' || error.code === 'VERIFY_ROW_UNREADABLE';
}
