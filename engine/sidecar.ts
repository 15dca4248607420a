import { bytesOf, errnoOf, quoteText, type Bytes, type ServerConnection } from './server/connection.ts';
import { AppError } from '../core/errors.ts';

/**
 * The schema `_switchyard` on a server that we write to. Its rows change in the same transaction as the data that they
 * describe (I3), and mark that transaction as ours in the binlog of that server (I7).
 */
export const SIDECAR_SCHEMA = '_switchyard';

const LOCK_WAIT_TIMEOUT = 1205;

export type Direction = 'forward' | 'reverse';

const PROGRESS_DDL = `CREATE TABLE IF NOT EXISTS ${SIDECAR_SCHEMA}.progress (
  import_id VARCHAR(63) CHARACTER SET ascii NOT NULL,
  direction VARCHAR(8) CHARACTER SET ascii NOT NULL,
  owner BIGINT UNSIGNED NOT NULL,
  windows BIGINT UNSIGNED NOT NULL,
  committed_at_ms BIGINT UNSIGNED NOT NULL,
  position LONGTEXT CHARACTER SET ascii NOT NULL,
  PRIMARY KEY (import_id, direction)
) ENGINE=InnoDB COMMENT='Switchyard: how far a stream is applied'`;

/** Creates what is missing; `tables` are the CREATE TABLE IF NOT EXISTS statements of other parts. */
export async function createSidecar(connection: ServerConnection, tables: Bytes[] = []): Promise<void> {
  await connection.write(`CREATE DATABASE IF NOT EXISTS ${SIDECAR_SCHEMA}`);
  for (const ddl of [PROGRESS_DDL, ...tables]) await connection.write(ddl);
}

export async function dropSidecar(connection: ServerConnection): Promise<void> {
  await connection.write(`DROP DATABASE IF EXISTS ${SIDECAR_SCHEMA}`);
}

/** The progress row of one stream on the server that it is applied to. */
export class ProgressRow {
  readonly #where: Bytes;
  readonly #values: Bytes;

  constructor(importId: string, direction: Direction) {
    this.#where = `import_id=${quoteText(importId)} AND direction=${quoteText(direction)}`;
    this.#values = `${quoteText(importId)}, ${quoteText(direction)}`;
  }

  /** The durable position, or undefined where the stream never started. */
  async read(connection: ServerConnection): Promise<string | undefined> {
    const row = await connection.selectOne<{ position: string }>(
      `SELECT position FROM ${SIDECAR_SCHEMA}.progress WHERE ${this.#where}`,
    );
    return row?.position;
  }

  /** Sets the position outside of any stream: where it is to start. */
  async reset(connection: ServerConnection, position: string): Promise<void> {
    await connection.write(
      `INSERT INTO ${SIDECAR_SCHEMA}.progress VALUES (${this.#values}, 1, 0, 0, ${quoteText(position)}) ` +
        `ON DUPLICATE KEY UPDATE owner=owner+1, windows=windows+1, position=VALUES(position)`,
    );
  }

  /**
   * Takes the row over: whoever held it before can no longer write (its `updateStatement` matches no row). This is what
   * keeps an engine that was thought dead from applying beside its successor.
   */
  async claim(connection: ServerConnection): Promise<{ owner: string; position: string }> {
    const { affectedRows } = await connection
      .write(`UPDATE ${SIDECAR_SCHEMA}.progress SET owner=LAST_INSERT_ID(owner+1) WHERE ${this.#where}`)
      .catch((error: unknown) => {
        if (errnoOf(error) !== LOCK_WAIT_TIMEOUT) throw error;
        throw new AppError('STREAM_PROGRESS_LOCKED', (error as Error).message, { cause: error });
      });
    const row = await connection.selectOne<{ owner: string; position: string }>(
      `SELECT LAST_INSERT_ID() AS owner, position FROM ${SIDECAR_SCHEMA}.progress WHERE ${this.#where}`,
    );
    if (affectedRows !== 1 || row === undefined) {
      throw new AppError(
        'STREAM_PROGRESS_MISSING',
        `the progress row of this stream is gone from ${SIDECAR_SCHEMA}.progress`,
      );
    }
    return row;
  }

  /** Changes exactly one row unless another engine took over. */
  updateStatement(owner: string, position: string, committedAtMs: number): Bytes {
    return (
      `UPDATE ${SIDECAR_SCHEMA}.progress SET windows=windows+1, committed_at_ms=${Math.trunc(committedAtMs)}, ` +
      `position=${bytesOf(`'${position}'`)} WHERE ${this.#where} AND owner=${owner}`
    );
  }

  async delete(connection: ServerConnection): Promise<void> {
    await connection.write(`DELETE FROM ${SIDECAR_SCHEMA}.progress WHERE ${this.#where}`);
  }
}

/** For whoever changed no row with `updateStatement`. */
export function takenOver(): AppError {
  return new AppError('STREAM_TAKEN_OVER', 'the progress row has another owner: another engine has this stream');
}
