import { failpoint } from '../../core/failpoint.ts';
import { type Bytes, type ServerConnection } from '../server/connection.ts';
import { takenOver } from '../sidecar.ts';
import { cascadingStatement, type Cascades, type CascadingChange } from './cascades.ts';
import { sharesOf } from './lane-split.ts';
import type { ApplyMode } from './table-statements.ts';
import type { StreamTransaction } from '../stream/transaction.ts';
import { ApplyWindow } from './window.ts';
import { isLocked, lockedOut, nextWay, writeChecked, writeShares, type WriteWay } from './window-writer.ts';

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

  /** Answers the names of the tables whose rows may have changed: those that `cascades` reach, too. */
  async add(part: StreamTransaction, cascades: Cascades | null): Promise<Set<string>> {
    const names = new Set(part.changes.map(({ table }) => table.name));
    for (const segment of cascades?.segments(part.changes) ?? [{ kind: 'plain', changes: part.changes } as const]) {
      if (segment.kind === 'plain') {
        const window = new ApplyWindow();
        window.add({ ...part, changes: segment.changes });
        await this.#addWindow(window);
      } else {
        await this.#addCascading(segment.changes);
        for (const { table } of segment.changes)
          for (const child of cascades?.descendants(table.name) ?? []) names.add(child);
      }
    }
    return names;
  }

  async #addWindow(window: ApplyWindow): Promise<void> {
    const { connection, mode, origin } = this.#options;
    const shares = sharesOf(window);
    let way: WriteWay = 'fast';
    for (;;) {
      try {
        await writeShares({ connection, begin: ['SAVEPOINT part'], isClaimed: false, shares, mode, way, origin });
        return;
      } catch (error) {
        if (isLocked(error)) throw lockedOut(error);
        const next: WriteWay | null = connection.broken ? null : nextWay(error, way, mode);
        if (next === null) throw error;
        await connection.write('ROLLBACK TO SAVEPOINT part');
        way = next;
      }
    }
  }

  /** One statement for each change, in order, with foreign keys at work: see `Cascades`. */
  async #addCascading(changes: readonly CascadingChange[]): Promise<void> {
    const { connection, mode } = this.#options;
    const statements = changes.map((change) => cascadingStatement(change, mode));
    try {
      await writeChecked(connection, statements);
    } catch (error) {
      if (isLocked(error)) throw lockedOut(error);
      throw error;
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
