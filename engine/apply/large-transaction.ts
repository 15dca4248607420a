import { AppError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import { type Bytes, type ServerConnection } from '../server/connection.ts';
import { takenOver } from '../sidecar.ts';
import { sharesOf } from './lane-split.ts';
import type { ApplyMode } from './table-statements.ts';
import type { ApplyWindow } from './window.ts';
import { isLocked, nextWay, writeShares, type WriteWay } from './window-writer.ts';

export interface LargeTransactionOptions {
  connection: ServerConnection;
  /** Makes the position of the whole durable. */
  progress: Bytes;
  mode: ApplyMode;
  origin: () => Promise<ServerConnection>;
}

/**
 * A transaction of the origin that comes in parts, applied inside one transaction of the destination: nobody sees half of
 * it, and its position is durable exactly when all of it is (I3). The progress row comes first, so that a stream in the
 * other direction knows before any row that the transaction is ours (I7).
 *
 * Each part is a window of its own; parts in order are as right as one window of all. A deadlock cannot be retried here,
 * for the parts before are gone: the stream begins again at the durable position.
 */
export class LargeTransaction {
  readonly #options: LargeTransactionOptions;

  private constructor(options: LargeTransactionOptions) {
    this.#options = options;
  }

  static async begin(options: LargeTransactionOptions): Promise<LargeTransaction> {
    const results = await options.connection.batch(['BEGIN', options.progress]);
    if (results.at(-1)?.affectedRows !== 1) throw takenOver();
    return new LargeTransaction(options);
  }

  async add(window: ApplyWindow): Promise<void> {
    const { connection, mode, origin } = this.#options;
    const shares = sharesOf(window);
    let way: WriteWay = 'fast';
    for (;;) {
      try {
        await writeShares({ connection, begin: ['SAVEPOINT part'], isClaimed: false, shares, mode, way, origin });
        return;
      } catch (error) {
        if (isLocked(error)) throw new AppError('APPLY_LOCKED_OUT', (error as Error).message, { cause: error });
        const next: WriteWay | null = connection.broken ? null : nextWay(error, way, mode);
        if (next === null) throw error;
        await connection.write('ROLLBACK TO SAVEPOINT part');
        way = next;
      }
    }
  }

  async commit(): Promise<void> {
    await failpoint('apply.before_commit');
    await this.#options.connection.write('COMMIT');
    await failpoint('apply.after_commit');
  }

  /** As if nothing had been applied; the position too. */
  async rollback(): Promise<void> {
    await this.#options.connection.write('ROLLBACK');
  }
}
