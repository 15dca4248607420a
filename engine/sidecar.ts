import {
  bytesOf,
  errnoOf,
  LOCK_WAIT_SECONDS,
  quoteText,
  type Bytes,
  type ServerConnection,
} from './server/connection.ts';
import { AppError } from '../core/errors.ts';
import { parsePosition, type Flavor, type StreamPosition } from '../core/gtid.ts';
import type { LastApplied } from './replication/last-applied.ts';
import { readSessions } from './switch/process-list.ts';

/**
 * The schema `_switchyard` on a server that we write to. Its rows change in the same transaction as the data that they
 * describe (I3), and mark that transaction as ours in the binlog of that server (I7).
 */
export const SIDECAR_SCHEMA = '_switchyard';

/** `StreamSchema` */
export const STREAM_SCHEMA = `${SIDECAR_SCHEMA}.stream_schema`;
/** `DdlJournal` */
export const DDL_JOURNAL = `${SIDECAR_SCHEMA}.ddl_journal`;
/** `route-marker.ts` */
export const ROUTE_MARKER = `${SIDECAR_SCHEMA}.route`;

const LOCK_WAIT_TIMEOUT = 1205;
const CLAIM_WAIT_SECONDS = 3;

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

const LANES_DDL = `CREATE TABLE IF NOT EXISTS ${SIDECAR_SCHEMA}.progress_lanes (
  import_id VARCHAR(63) CHARACTER SET ascii NOT NULL,
  direction VARCHAR(8) CHARACTER SET ascii NOT NULL,
  lane TINYINT UNSIGNED NOT NULL,
  owner BIGINT UNSIGNED NOT NULL,
  connection_id BIGINT UNSIGNED NOT NULL,
  windows BIGINT UNSIGNED NOT NULL,
  position LONGTEXT CHARACTER SET ascii NOT NULL,
  PRIMARY KEY (import_id, direction, lane)
) ENGINE=InnoDB COMMENT='Switchyard: how far each lane of a stream is applied while it catches up, and its connection'`;

const STREAM_SCHEMA_DDL = `CREATE TABLE IF NOT EXISTS ${STREAM_SCHEMA} (
  import_id VARCHAR(63) CHARACTER SET ascii NOT NULL,
  direction VARCHAR(8) CHARACTER SET ascii NOT NULL,
  table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  definition LONGTEXT CHARACTER SET utf8mb4 NULL,
  PRIMARY KEY (import_id, direction, table_name)
) ENGINE=InnoDB COMMENT='Switchyard: the tables of the origin as they are at the position of a stream'`;

const DDL_JOURNAL_DDL = `CREATE TABLE IF NOT EXISTS ${DDL_JOURNAL} (
  import_id VARCHAR(63) CHARACTER SET ascii NOT NULL,
  direction VARCHAR(8) CHARACTER SET ascii NOT NULL,
  gtid VARCHAR(128) CHARACTER SET ascii NOT NULL,
  statement LONGTEXT CHARACTER SET utf8mb4 NOT NULL,
  before_it LONGTEXT CHARACTER SET utf8mb4 NOT NULL,
  started_at_ms BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (import_id, direction)
) ENGINE=InnoDB COMMENT='Switchyard: the DDL statement of a stream that is being executed here'`;

const ROUTE_MARKER_DDL = `CREATE TABLE IF NOT EXISTS ${ROUTE_MARKER} (
  import_id VARCHAR(63) CHARACTER SET ascii NOT NULL,
  database_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  created_at_ms BIGINT UNSIGNED NOT NULL,
  decision VARCHAR(64) CHARACTER SET ascii NOT NULL,
  epoch BIGINT UNSIGNED NOT NULL,
  primary_side VARCHAR(8) CHARACTER SET ascii NOT NULL,
  replica_side VARCHAR(8) CHARACTER SET ascii NOT NULL,
  written_at_ms BIGINT UNSIGNED NOT NULL,
  state LONGTEXT CHARACTER SET utf8mb4 NOT NULL,
  PRIMARY KEY (import_id)
) ENGINE=InnoDB COMMENT='Switchyard: where traffic was sent by the last decision'`;

/** Creates what is missing; `tables` are the CREATE TABLE IF NOT EXISTS statements of other parts. */
export async function createSidecar(connection: ServerConnection, tables: Bytes[] = []): Promise<void> {
  await connection.write(`CREATE DATABASE IF NOT EXISTS ${SIDECAR_SCHEMA}`);
  for (const ddl of [PROGRESS_DDL, LANES_DDL, STREAM_SCHEMA_DDL, DDL_JOURNAL_DDL, ROUTE_MARKER_DDL, ...tables])
    await connection.write(ddl);
}

export async function dropSidecar(connection: ServerConnection): Promise<void> {
  await connection.write(`DROP DATABASE IF EXISTS ${SIDECAR_SCHEMA}`);
}

/** Where a stream stands. */
export interface DurablePosition {
  position: string;
  /** MariaDB: where reading begins, to know what is prepared at `position` (`StreamTransaction.readFrom`). Left out: there. */
  readFrom?: string | undefined;
  /** Left out: not known. */
  last?: LastApplied | undefined;
}

/** What the row said when it was taken over. */
export interface ClaimedProgress extends DurablePosition {
  owner: string;
  /**
   * Where lanes stood. One that is not covered by `position` had committed its part of a window that was not complete:
   * until the stream is past it, some rows are newer than `position`.
   */
  lanePositions: string[];
}

/**
 * The progress row of one stream on the server that it is applied to: everything up to its position is applied, and while
 * no lane is ahead, nothing else is. Lanes have rows of their own (ADR 8).
 */
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
    return row === undefined ? undefined : readDurable(row.position).position;
  }

  /** Where lanes stand, those that are not ahead included. */
  async lanePositions(connection: ServerConnection): Promise<string[]> {
    const rows = await connection.select<{ position: string }>(
      `SELECT DISTINCT position FROM ${SIDECAR_SCHEMA}.progress_lanes WHERE ${this.#where}`,
    );
    return rows.map(({ position }) => position);
  }

  /** Sets the position outside of any stream: where it is to start. What was known of the tables belongs to another one. */
  async reset(connection: ServerConnection, position: string): Promise<void> {
    await this.forgetSchema(connection);
    await connection.write(
      `INSERT INTO ${SIDECAR_SCHEMA}.progress VALUES (${this.#values}, 1, 0, 0, ${quoteText(position)}) ` +
        `ON DUPLICATE KEY UPDATE owner=owner+1, windows=windows+1, position=VALUES(position)`,
    );
    await this.#deleteLanes(connection);
  }

  /** Moves a stream that has been stopped on to where it was applied. Rejects with STREAM_PROGRESS_MISSING. */
  async moveTo(connection: ServerConnection, position: string): Promise<void> {
    const { affectedRows } = await connection.write(
      `UPDATE ${SIDECAR_SCHEMA}.progress SET owner=owner+1, position=${quoteText(position)} WHERE ${this.#where}`,
    );
    if (affectedRows !== 1)
      throw new AppError('STREAM_PROGRESS_MISSING', `the progress row is gone from ${SIDECAR_SCHEMA}.progress`);
  }

  /**
   * Takes the row over, and those of the lanes: whoever held them before can no longer write (its statements match no
   * row). This is what keeps an engine that was thought dead from applying beside its successor. It waits for what the
   * other one has under way, so that the answer is the last word; not for long, since the other one's machine may be gone
   * while its connections live on for hours on the server: those are ended then, and STREAM_PROGRESS_LOCKED tells to try
   * again.
   */
  async claim(connection: ServerConnection): Promise<ClaimedProgress> {
    await connection.write(`SET SESSION innodb_lock_wait_timeout=${CLAIM_WAIT_SECONDS}`);
    const claimed = await this.#tryClaim(connection);
    await connection.write(`SET SESSION innodb_lock_wait_timeout=${LOCK_WAIT_SECONDS}`);
    return claimed;
  }

  async #tryClaim(connection: ServerConnection): Promise<ClaimedProgress> {
    await connection.write('BEGIN');
    try {
      const claimed = await this.#claim(connection);
      await connection.write('COMMIT');
      return claimed;
    } catch (error) {
      if (!connection.broken) await connection.write('ROLLBACK').catch(() => {});
      if (errnoOf(error) !== LOCK_WAIT_TIMEOUT) throw error;
      await this.#endPredecessor(connection);
      throw new AppError('STREAM_PROGRESS_LOCKED', (error as Error).message, { cause: error });
    }
  }

  async #claim(connection: ServerConnection): Promise<ClaimedProgress> {
    const { affectedRows } = await connection.write(
      `UPDATE ${SIDECAR_SCHEMA}.progress SET owner=LAST_INSERT_ID(owner+1) WHERE ${this.#where}`,
    );
    const row = await connection.selectOne<{ owner: string; position: string }>(
      `SELECT LAST_INSERT_ID() AS owner, position FROM ${SIDECAR_SCHEMA}.progress WHERE ${this.#where}`,
    );
    if (affectedRows !== 1 || row === undefined) {
      throw new AppError(
        'STREAM_PROGRESS_MISSING',
        `the progress row of this stream is gone from ${SIDECAR_SCHEMA}.progress`,
      );
    }
    await connection.write(`UPDATE ${SIDECAR_SCHEMA}.progress_lanes SET owner=${row.owner} WHERE ${this.#where}`);
    await connection.write(this.#laneRow(row.owner, 0, connection.threadId));
    return { owner: row.owner, ...readDurable(row.position), lanePositions: await this.lanePositions(connection) };
  }

  /** Lane 0 is the connection of the progress row itself: its own row only says which one that is. */
  #laneRow(owner: string, lane: number, connectionId: number): Bytes {
    return (
      `INSERT INTO ${SIDECAR_SCHEMA}.progress_lanes VALUES (${this.#values}, ${lane}, ${owner}, ${connectionId}, 0, '') ` +
      `ON DUPLICATE KEY UPDATE connection_id=VALUES(connection_id), windows=windows+1`
    );
  }

  /**
   * Ends the connections that are known of whoever has the rows. A number may long belong to somebody else: only those of
   * our own account.
   */
  async #endPredecessor(connection: ServerConnection): Promise<void> {
    const rows = await connection.rows(
      `SELECT connection_id FROM ${SIDECAR_SCHEMA}.progress_lanes WHERE ${this.#where}`,
    );
    const known = new Set(rows.map(([id]) => Number(id)));
    const sessions = await readSessions(connection);
    const self = sessions.find(({ id }) => id === connection.threadId);
    for (const { id, user } of sessions) {
      if (known.has(id) && id !== self?.id && user === self?.user) await connection.write(`KILL ${id}`).catch(() => {});
    }
  }

  /** Changes exactly one row unless another engine took over. */
  updateStatement(owner: string, durable: DurablePosition, committedAtMs: number): Bytes {
    return (
      `UPDATE ${SIDECAR_SCHEMA}.progress SET windows=windows+1, committed_at_ms=${Math.trunc(committedAtMs)}, ` +
      `position=${bytesOf(`'${durableText(durable)}'`)} WHERE ${this.#where} AND owner=${owner}`
    );
  }

  /** As `updateStatement`, for a transaction whose position is not known yet, or is not to be durable yet. */
  touchStatement(owner: string): Bytes {
    return `UPDATE ${SIDECAR_SCHEMA}.progress SET windows=windows+1 WHERE ${this.#where} AND owner=${owner}`;
  }

  /** As `updateStatement`, for one lane. */
  laneStatement(owner: string, lane: number, position: string): Bytes {
    return (
      `UPDATE ${SIDECAR_SCHEMA}.progress_lanes SET windows=windows+1, position=${bytesOf(`'${position}'`)} ` +
      `WHERE ${this.#where} AND lane=${lane} AND owner=${owner}`
    );
  }

  /** Makes rows for lanes 1, 2, … with these connections, unless another engine took over. */
  async makeLanes(connection: ServerConnection, owner: string, connectionIds: readonly number[]): Promise<void> {
    const results = await connection.batch([
      'BEGIN',
      this.touchStatement(owner),
      ...connectionIds.map((id, index) => this.#laneRow(owner, index + 1, id)),
    ]);
    if (results[1]?.affectedRows !== 1) {
      await connection.write('ROLLBACK');
      throw takenOver();
    }
    await connection.write('COMMIT');
  }

  async forgetSchema(connection: ServerConnection): Promise<void> {
    for (const table of [STREAM_SCHEMA, DDL_JOURNAL])
      await connection.write(`DELETE FROM ${table} WHERE ${this.#where}`);
  }

  async delete(connection: ServerConnection): Promise<void> {
    await this.forgetSchema(connection);
    await connection.write(`DELETE FROM ${SIDECAR_SCHEMA}.progress WHERE ${this.#where}`);
    await this.#deleteLanes(connection);
  }

  async #deleteLanes(connection: ServerConnection): Promise<void> {
    await connection.write(`DELETE FROM ${SIDECAR_SCHEMA}.progress_lanes WHERE ${this.#where}`);
  }
}

/** One column has all: the table of an import that is under way does not change with a new version. */
const READ_FROM = ' read from ';
const LAST = ' last ';
const COMMITTED = ' committed ';
const BEFORE = ' behind ';

function durableText({ position, readFrom, last }: DurablePosition): string {
  const from = readFrom === undefined ? '' : `${READ_FROM}${readFrom}`;
  if (last === undefined) return `${position}${from}`;
  const before = last.before === undefined ? '' : `${BEFORE}${last.before}`;
  return `${position}${from}${LAST}${last.gtid}${COMMITTED}${last.stamp}${before}`;
}

/** As the progress row has it. */
export function readDurable(text: string): DurablePosition {
  const [where = '', transaction] = text.split(LAST);
  const [position = '', readFrom] = where.split(READ_FROM);
  if (transaction === undefined) return { position, readFrom };
  const [named = '', before] = transaction.split(BEFORE);
  const [gtid = '', stamp = ''] = named.split(COMMITTED);
  return { position, readFrom, last: { gtid, stamp, before } };
}

/** Those of `lanePositions` that `position` does not cover: see `ClaimedProgress`. */
export function lanesAhead(
  flavor: Flavor,
  position: StreamPosition,
  lanePositions: readonly string[],
): StreamPosition[] {
  const lanes = lanePositions.filter((text) => text !== '').map((text) => parsePosition(flavor, text));
  return lanes.filter((lane) => !position.covers(lane));
}

/** For whoever changed no row with `updateStatement`. */
export function takenOver(): AppError {
  return new AppError('STREAM_TAKEN_OVER', 'the progress row has another owner: another engine has this stream');
}
