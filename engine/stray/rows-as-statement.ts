import { AppError } from '../../core/errors.ts';
import { strayStatement, type StrayRecord } from './stray-writes.ts';

/** A transaction whose rows were logged as a statement: what it changed cannot be told, the statement is kept. */
export function rowsAsStatement(error: unknown): StrayRecord | undefined {
  if (!(error instanceof AppError) || error.code !== 'STREAM_STATEMENT_DML') return undefined;
  const { gtid } = error.details;
  if (typeof gtid !== 'string') return undefined;
  return strayStatement({ gtid, committedAtMs: Date.now(), kind: 'statement', statement: error.message });
}
