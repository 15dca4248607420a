import { AppError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import { errnoOf, type Bytes, type ServerConnection } from '../server/connection.ts';
import { takenOver } from '../sidecar.ts';
import { windowStatements } from './statements.ts';
import { ApplyWindow } from './window.ts';
import { batches, runBatch } from './write-window.ts';

const DEADLOCK = 1213;
const LOCK_WAIT_TIMEOUT = 1205;

/**
 * A transaction of the origin that comes in parts, applied inside one transaction of the destination: nobody sees half of
 * it, and its position is durable exactly when all of it is (I3). The progress row comes first, so that a stream in the
 * other direction knows before any row that the transaction is ours (I7).
 *
 * Each part is a window of its own; parts in order are as right as one window of all. A deadlock cannot be retried here,
 * for the parts before are gone: the stream begins again at the durable position.
 */
export class LargeTransaction {
  readonly #connection: ServerConnection;

  private constructor(connection: ServerConnection) {
    this.#connection = connection;
  }

  static async begin(connection: ServerConnection, progress: Bytes): Promise<LargeTransaction> {
    const results = await connection.batch(['BEGIN', progress]);
    if (results.at(-1)?.affectedRows !== 1) throw takenOver();
    return new LargeTransaction(connection);
  }

  async add(window: ApplyWindow): Promise<void> {
    try {
      for (const batch of batches(windowStatements(window.tables.values())))
        await runBatch(this.#connection, batch, window);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno !== DEADLOCK && errno !== LOCK_WAIT_TIMEOUT) throw error;
      throw new AppError('APPLY_LOCKED_OUT', (error as Error).message, { cause: error });
    }
  }

  async commit(): Promise<void> {
    await failpoint('apply.before_commit');
    await this.#connection.write('COMMIT');
    await failpoint('apply.after_commit');
  }

  /** As if nothing had been applied; the position too. */
  async rollback(): Promise<void> {
    await this.#connection.write('ROLLBACK');
  }
}
