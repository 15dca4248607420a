import { AppError } from '../../core/errors.ts';
import { afterDefinitions } from '../schema/padded-partitions.ts';
import type { Table } from '../schema/table.ts';
import type { TransactionStart } from './gtid-event.ts';
import type { HeldEvents } from './held-events.ts';
import { sqlTokens } from './sql-lexer.ts';
import type { RowChange, StreamTransaction } from './transaction.ts';

/** What a transaction occupies in memory beside its bytes, about. */
const TRANSACTION_BYTES = 256;

/** A transaction whose end was not read yet. */
export interface OpenTransaction {
  start: TransactionStart;
  /** Between BEGIN and its end; otherwise one statement is all. */
  begun: boolean;
  ddl: StreamTransaction['ddl'];
  prepared: string | null;
  ours: boolean;
  /** Of another import (`StreamScope.isOwnImport`): not ours after all. */
  isOfAnother: boolean;
  /** Since the last part. */
  changes: RowChange[];
  own: RowChange[];
  /** Though it is ours. */
  keepsRows: boolean;
  bytes: number;
  /** Row changes in scope, those of earlier parts included. */
  rows: number;
  /** Parts of it were given out. */
  hasParts: boolean;
  /** By name, oldest first, how many changes there were, since the last part and in all. Those from before the last part are gone. */
  savepoints: Map<string, { changes: number; rows: number }>;
  /** Of an XA transaction: its rows are logged at PREPARE and count only from XA COMMIT on, a transaction of its own. */
  held: HeldEvents | null;
  /** See `StreamTransaction`. */
  statements: NonNullable<StreamTransaction['statements']>;
  redefines: boolean;
  /** Applied before, and read again for what it prepares: everything else in it is passed over, unjudged (`ReadAgain`). */
  isRepeated: boolean;
}

export function openTransaction(start: TransactionStart, isRepeated: boolean): OpenTransaction {
  return {
    start,
    begun: start.opensTransaction,
    ddl: null,
    prepared: null,
    ours: false,
    isOfAnother: false,
    changes: [],
    own: [],
    keepsRows: false,
    bytes: TRANSACTION_BYTES,
    rows: 0,
    hasParts: false,
    savepoints: new Map(),
    held: null,
    statements: [],
    redefines: false,
    isRepeated,
  };
}

export function isOurs({ ours, isOfAnother }: OpenTransaction): boolean {
  return ours && !isOfAnother;
}

/** Of `SAVEPOINT name`. */
export function setSavepoint(open: OpenTransaction, sql: string): void {
  const name = savepointName(sql);
  open.savepoints.delete(name);
  open.savepoints.set(name, { changes: open.changes.length, rows: open.rows });
}

/** Of `ROLLBACK TO name`: changes since then are void. Rejects with STREAM_MIXED_ENGINES where they may not be. */
export function rollBackTo(open: OpenTransaction, sql: string): void {
  const name = savepointName(sql);
  const savepoint = open.savepoints.get(name);
  if (savepoint === undefined) {
    // Not known, or from before a part that was given out.
    if (open.rows > 0) throw rolledBackInPart(open);
    return;
  }
  // With nothing of ours since, it says nothing about what was before: not within XA either.
  if (open.rows > savepoint.rows) {
    checkRolledBack(open, open.changes.slice(savepoint.changes));
    open.changes.length = savepoint.changes;
  }
  const names = [...open.savepoints.keys()];
  for (const later of names.slice(names.indexOf(name) + 1)) open.savepoints.delete(later);
}

/** Nothing of it has happened: see `checkRolledBack`. */
export function rollBack(open: OpenTransaction): void {
  checkRolledBack(open, open.changes);
  open.changes = [];
  // Whoever has applied parts of it undoes them.
  if (!open.hasParts) return;
  open.ours = true;
  open.isOfAnother = false;
}

/**
 * What is rolled back is logged where something cannot be: tables without transactions, and temporary tables that came or went within
 * a transaction (MariaDB: also DROP TEMPORARY TABLE IF EXISTS of none). Logged as rows, the changes of tables without transactions are
 * a transaction of their own, in front, so that all of these are void (use_trans_cache in sql/log.cc). Where a table is none of
 * InnoDB, or definitions and XA are involved, that is not relied on.
 */
function checkRolledBack(open: OpenTransaction, changes: readonly RowChange[]): void {
  if (open.rows === 0) return;
  const isVoid = open.ddl === null && open.held === null && changes.every(({ table }) => isInnodb(table));
  if (!isVoid) throw rolledBackInPart(open);
}

function isInnodb({ createSql }: Table): boolean {
  return /\bENGINE=InnoDB\b/i.test(afterDefinitions(createSql));
}

function rolledBackInPart({ start }: OpenTransaction): AppError {
  return new AppError('STREAM_MIXED_ENGINES', `transaction ${start.gtid} was rolled back in part`, {
    details: { gtid: start.gtid },
  });
}

/** In any case. */
function savepointName(sql: string): string {
  return [...sqlTokens(sql)].at(-1)?.text.toLowerCase() ?? '';
}

/** Hands out what has come since the last part. */
export function cutPart(open: OpenTransaction, partial: boolean): StreamTransaction {
  const { start, ddl, prepared, changes, own, bytes, statements, redefines } = open;
  const ours = isOurs(open);
  const isKept = !ours || open.keepsRows;
  open.changes = [];
  open.own = [];
  open.statements = [];
  open.bytes = TRANSACTION_BYTES;
  open.hasParts ||= partial;
  open.savepoints.clear();
  return {
    gtid: start.gtid,
    committedAtMs: start.committedAtMs,
    stamp: start.stamp,
    prepared,
    ours,
    changes: isKept ? changes : [],
    ...(own.length === 0 ? {} : { own }),
    ...(statements.length === 0 || ours ? {} : { statements }),
    ...(redefines ? { redefines } : {}),
    ddl,
    bytes: isKept ? bytes : TRANSACTION_BYTES,
    partial,
  };
}
