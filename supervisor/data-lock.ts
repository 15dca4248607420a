import { DatabaseSync } from 'node:sqlite';
import { AppError } from '../core/errors.ts';

/** The supervisor that this one takes over from may be ending at this moment. */
const WAIT_MS = 5000;

/**
 * One supervisor on a data directory. The control socket alone does not do: whoever finds a dead one removes it, and two that start at
 * once remove each other's; somebody may delete it by hand. SQLite, since Node has no file locks: the kernel ends this one with the
 * process, however that ends.
 */
export class DataLock implements Disposable {
  readonly #db: DatabaseSync;

  /** Throws PORT_IN_USE when another supervisor runs there. */
  constructor(file: string, waitMs = WAIT_MS) {
    this.#db = new DatabaseSync(file, { timeout: waitMs });
    try {
      // A journal in memory: the lock has to be had on a full disk, too.
      this.#db.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    } catch (cause) {
      this.#db.close();
      if ((cause as { errcode?: number }).errcode !== SQLITE_BUSY) throw cause;
      throw new AppError(
        'PORT_IN_USE',
        `another switchyard runs on this data directory, or is just starting or ending there (it holds ${file})`,
        { cause },
      );
    }
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}

/** https://www.sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;
