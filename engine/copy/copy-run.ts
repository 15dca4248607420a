import { AppError } from '../../core/errors.ts';
import { quoteText, type Bytes, type ServerConnection } from '../server/connection.ts';

const TABLE: Bytes = '`_switchyard`.`copy_runs`';

export const COPY_RUNS_DDL = `CREATE TABLE IF NOT EXISTS ${TABLE} (
  import_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  owner BIGINT UNSIGNED NOT NULL
) ENGINE=InnoDB`;

/**
 * One run of an import's copy. Sessions of the run before may live on at the target when their engine is gone: with a COMMIT that is
 * under way, with rows that are still being loaded. A chunk that lands from there after this run has looked for what has
 * landed would meet its own rows again. So every chunk's transaction holds the row of its run, shared; a new run takes the row, which
 * waits for all of them, and whatever begins later is told that it is not the run any more.
 */
export class CopyRun {
  readonly #where: Bytes;
  readonly #owner: string;

  private constructor(where: Bytes, owner: string) {
    this.#where = where;
    this.#owner = owner;
  }

  /** Rejects with a lock wait timeout (1205) when a session of the run before takes longer. */
  static async claim(target: ServerConnection, importId: string): Promise<CopyRun> {
    const id = quoteText(importId);
    const where = `import_id = ${id}`;
    await target.write(
      `INSERT INTO ${TABLE} VALUES (${id}, LAST_INSERT_ID(1)) ON DUPLICATE KEY UPDATE owner = LAST_INSERT_ID(owner + 1)`,
    );
    const [row] = await target.rows('SELECT LAST_INSERT_ID()');
    return new CopyRun(where, row?.[0] ?? '');
  }

  /** The first statement of a chunk's transaction. Rejects with COPY_TAKEN_OVER. */
  async hold(target: ServerConnection): Promise<void> {
    const [row] = await target.rows(`SELECT owner FROM ${TABLE} WHERE ${this.#where} LOCK IN SHARE MODE`);
    // Less: a target that flushes its log once a second has taken the claim back when it crashed.
    if (row !== undefined && BigInt(row[0] ?? 0) <= BigInt(this.#owner)) return;
    throw new AppError(
      'COPY_TAKEN_OVER',
      `the copy was begun anew: this is run ${this.#owner}, and ${row?.[0] ?? 'none'} is under way`,
    );
  }
}
