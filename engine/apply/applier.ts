import { AppError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { ServerDefinition } from '../api.ts';
import { ServerConnection, errnoOf, type Bytes, type WriteResult } from '../server/connection.ts';
import { takenOver, type ProgressRow } from '../sidecar.ts';
import { LargeTransaction } from './large-transaction.ts';
import type { ApplyWindow } from './window.ts';
import { windowStatements } from './statements.ts';
import { batches, runBatch } from './write-window.ts';

const DEADLOCK = 1213;
const LOCK_WAIT_TIMEOUT = 1205;
const RETRIES_MAX = 10;

export interface ApplierOptions {
  destination: ServerDefinition;
  progress: ProgressRow;
}

/**
 * Writes windows to the destination: one transaction each, with the progress row in it (I3). A window is idempotent
 * (full images by key), so one whose COMMIT had no answer may be applied again from the durable position.
 */
export class Applier implements AsyncDisposable {
  readonly #connection: ServerConnection;
  readonly #progress: ProgressRow;
  readonly #owner: string;
  /** Where the durable progress stood when this applier took over. */
  readonly startPosition: string;

  private constructor(connection: ServerConnection, progress: ProgressRow, owner: string, startPosition: string) {
    this.#connection = connection;
    this.#progress = progress;
    this.#owner = owner;
    this.startPosition = startPosition;
  }

  static async open({ destination, progress }: ApplierOptions): Promise<Applier> {
    const connection = await ServerConnection.open(destination, {
      multiStatements: true,
      session: [
        "SET SESSION foreign_key_checks=0, unique_checks=1, sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'",
      ],
    });
    try {
      const { owner, position } = await progress.claim(connection);
      return new Applier(connection, progress, owner, position);
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /** Applies the window and makes `position` durable with it. */
  async apply(window: ApplyWindow, position: string): Promise<void> {
    const statements = windowStatements(window.tables.values());
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#transaction(statements, position, window);
        return;
      } catch (error) {
        if (!(error instanceof AppError) || error.code === 'SERVER_GONE') throw error;
        await this.#connection.write('ROLLBACK');
        const errno = errnoOf(error);
        if ((errno === DEADLOCK || errno === LOCK_WAIT_TIMEOUT) && attempt < RETRIES_MAX) continue;
        throw error;
      }
    }
  }

  /** Begins the transaction that takes the parts of a large one of the origin; `position` becomes durable with its end. */
  async beginLarge(position: string, committedAtMs: number): Promise<LargeTransaction> {
    const progress = this.#progress.updateStatement(this.#owner, position, committedAtMs);
    return await LargeTransaction.begin(this.#connection, progress);
  }

  async #transaction(statements: Bytes[], position: string, window: ApplyWindow): Promise<void> {
    const progress = this.#progress.updateStatement(this.#owner, position, window.lastCommittedAtMs);
    let results: WriteResult[] = [];
    for (const batch of batches(['BEGIN', ...statements, progress]))
      results = await runBatch(this.#connection, batch, window);
    if (results.at(-1)?.affectedRows !== 1) throw takenOver();
    await failpoint('apply.before_commit');
    await this.#connection.write('COMMIT');
    await failpoint('apply.after_commit');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection.close();
  }
}
