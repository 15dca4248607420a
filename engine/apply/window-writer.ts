import { AppError } from '../../core/errors.ts';
import { errnoOf, type Bytes, type ServerConnection, type WriteResult } from '../server/connection.ts';
import { takenOver } from '../sidecar.ts';
import { isHarmless, refusedRow, type Refusal } from './refusal.ts';
import { placeRows } from './place-rows.ts';
import { hasUnknownHolders, removeStaleRows } from './stale-rows.ts';
import { tableSql } from './table-sql.ts';
import {
  clearStatements,
  narrowed,
  writeStatements,
  type ApplyMode,
  type ApplyStatement,
  type TableShare,
} from './table-statements.ts';

export const DEADLOCK = 1213;
export const LOCK_WAIT_TIMEOUT = 1205;
export const DUPLICATE_KEY = 1062;

/** Statements sent together: the next ones are written out while the server is busy with them. */
const BATCH_BYTES_MAX = 2 * 1024 * 1024;

/** Statements of one row in one round trip. */
const CHECKED_MAX = 500;

/** Of one row, in the message. */
const WARNINGS_TOLD = 5;

/**
 * `fast` sends many statements at once and only says that something was refused. `careful` sends one at a time and names
 * the row. `resolve` is careful and takes rows away first that hold a unique value which the origin has given to another
 * row since (see `removeStaleRows` and `placeRows`).
 */
export type WriteWay = 'fast' | 'careful' | 'resolve';

export interface WriteOptions {
  connection: ServerConnection;
  /** Begins the transaction, or this part of it: sent with the first rows. */
  begin: Bytes[];
  /** The last statement of `begin` changes the progress row, which only its owner can. */
  isClaimed: boolean;
  shares: readonly TableShare[];
  mode: ApplyMode;
  way: WriteWay;
  /** To ask for the origin's own collations. */
  origin: () => Promise<ServerConnection>;
}

/** Something in a fast write was refused; the careful way tells what. */
export class FastWriteRefused extends Error {
  readonly isDuplicate: boolean;

  constructor(isDuplicate: boolean) {
    super('a statement was refused');
    this.isDuplicate = isDuplicate;
  }
}

/** The way to try when `way` ended in `error` and was undone; null: there is none, the error is the answer. */
export function nextWay(error: unknown, way: WriteWay, mode: ApplyMode): WriteWay | null {
  // Only where rows may be of a later time can one be in the way rightly.
  const isInTheWay =
    error instanceof FastWriteRefused
      ? error.isDuplicate
      : error instanceof AppError && error.code === 'APPLY_ROW_CONFLICT' && way === 'careful';
  if (isInTheWay && mode === 'replay') return 'resolve';
  return error instanceof FastWriteRefused ? 'careful' : null;
}

export function isDeadlock(error: unknown): boolean {
  return errnoOf(error) === DEADLOCK;
}

export function isLocked(error: unknown): boolean {
  return isDeadlock(error) || errnoOf(error) === LOCK_WAIT_TIMEOUT;
}

/** For what `isLocked`. */
export function lockedOut(error: unknown): AppError {
  return new AppError('APPLY_LOCKED_OUT', (error as Error).message, { cause: error });
}

/**
 * Writes rows inside a transaction that it begins and does not end. Rejects with FastWriteRefused, with an
 * APPLY_… error that names the row, with STREAM_TAKEN_OVER, or with what the server said of locks and connections.
 */
export async function writeShares(options: WriteOptions): Promise<void> {
  if (options.way === 'fast') await writeFast(options);
  else await writeCarefully(options);
}

/**
 * Statements of one row each, in this order, that the server's foreign keys follow. Where one is refused the transaction is of
 * no use any more: `foreign_key_checks` may be left on.
 */
export async function writeChecked(connection: ServerConnection, statements: readonly ApplyStatement[]): Promise<void> {
  for (let first = 0; first < statements.length; first += CHECKED_MAX) {
    const some = statements.slice(first, first + CHECKED_MAX);
    const sql = some.map((statement) => statement.sql);
    try {
      const results = await connection.batch(['SAVEPOINT checked', 'SET foreign_key_checks=1', ...sql]);
      const isRefused = some.some((statement, index) => {
        const result = results[index + 2];
        return result === undefined || result.warnings > 0 || isMissing(statement, result);
      });
      if (isRefused) throw new FastWriteRefused(false);
    } catch (error) {
      if (!(error instanceof FastWriteRefused) && !isAboutRows(error)) throw error;
      await connection.write('ROLLBACK TO SAVEPOINT checked');
      for (const statement of some) await runCarefully(connection, statement);
    }
    await connection.write('SET foreign_key_checks=0');
  }
}

async function writeFast({ connection, begin, isClaimed, shares, mode }: WriteOptions): Promise<void> {
  let batch: Bytes[] = [...begin];
  let statements: ApplyStatement[] = [];
  let bytes = 0;
  const send = async () => {
    const results = await connection.batch(batch).catch((error: unknown) => {
      throw isAboutRows(error) ? new FastWriteRefused(errnoOf(error) === DUPLICATE_KEY) : error;
    });
    const before = results.length - statements.length;
    if (before > 0 && isClaimed && results[before - 1]?.affectedRows !== 1) throw takenOver();
    statements.forEach((statement, index) => {
      const result = results[before + index];
      if (result === undefined || result.warnings > 0 || isMissing(statement, result))
        throw new FastWriteRefused(false);
    });
    batch = [];
    statements = [];
    bytes = 0;
  };
  for (const share of shares) {
    for (const statement of statementsOf(share, mode)) {
      if (bytes > 0 && bytes + statement.sql.length > BATCH_BYTES_MAX) await send();
      batch.push(statement.sql);
      statements.push(statement);
      bytes += statement.sql.length;
    }
  }
  if (batch.length > 0) await send();
}

function* statementsOf(share: TableShare, mode: ApplyMode): Generator<ApplyStatement> {
  yield* clearStatements(share, mode);
  yield* writeStatements(share, mode);
}

async function writeCarefully({
  connection,
  begin,
  isClaimed,
  shares,
  mode,
  way,
  origin,
}: WriteOptions): Promise<void> {
  if (begin.length > 0) {
    const results = await connection.batch(begin);
    if (isClaimed && results.at(-1)?.affectedRows !== 1) throw takenOver();
  }
  for (const share of shares) {
    for (const statement of clearStatements(share, mode)) await runCarefully(connection, statement);
    const isResolved = way === 'resolve' && !tableSql(share.table).isPlain;
    if (isResolved) await removeStaleRows({ connection, origin, share });
    const place = {
      connection,
      origin,
      states: share.states,
      run: async (one: ApplyStatement) => run(connection, one),
    };
    for (const statement of writeStatements(share, mode))
      await (isResolved && hasUnknownHolders(share.table)
        ? placeRows(place, statement)
        : runCarefully(connection, statement));
  }
}

async function runCarefully(connection: ServerConnection, statement: ApplyStatement): Promise<void> {
  await connection.write('SAVEPOINT statement');
  const refusal = await run(connection, statement);
  if (refusal === null) return;
  await connection.write('ROLLBACK TO SAVEPOINT statement');
  const refused = await refusedOf(connection, statement);
  if (refused !== null) throw refused;
}

/**
 * Halves the rows until the refused one is alone; what is not refused stays written, in case it is in the way of another. Null where no
 * row was refused by itself: then all of them are written.
 */
async function refusedOf(connection: ServerConnection, whole: ApplyStatement): Promise<AppError | null> {
  let statement = whole;
  while (statement.states.length > 1) {
    const middle = statement.states.length >> 1;
    const half = narrowed(statement, statement.states.slice(0, middle));
    await connection.write('SAVEPOINT half');
    const refused = await run(connection, half);
    if (refused === null) {
      statement = narrowed(statement, statement.states.slice(middle));
    } else {
      await connection.write('ROLLBACK TO SAVEPOINT half');
      statement = half;
    }
  }
  const refusal = await run(connection, statement);
  return refusal === null ? null : refusedRow(statement, refusal);
}

async function run(connection: ServerConnection, statement: ApplyStatement): Promise<Refusal | null> {
  try {
    const result = await connection.write(statement.sql);
    if (result.warnings > 0) {
      const warnings = await connection.warnings(result.warnings);
      const texts = warnings.filter((text) => !isHarmless(text, statement));
      if (texts.length > 0) return { kind: 'warnings', texts: texts.slice(0, WARNINGS_TOLD) };
    }
    return isMissing(statement, result) ? { kind: 'missing' } : null;
  } catch (error) {
    if (!isAboutRows(error)) throw error;
    return { kind: 'error', error };
  }
}

function isMissing({ kind, expected }: ApplyStatement, { affectedRows, info }: WriteResult): boolean {
  if (expected === null) return false;
  const found = kind === 'look_up' ? Number(/^Rows matched: (\d+)/.exec(info)?.[1]) : affectedRows;
  return found !== expected;
}

/** What the server says of the statement; not of locks, nor of the connection. */
function isAboutRows(error: unknown): error is AppError {
  return error instanceof AppError && error.code === 'SERVER_ERROR' && !isLocked(error);
}
