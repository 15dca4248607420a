import type { ErrorCode } from '../../core/error-table.ts';
import { AppError } from '../../core/errors.ts';

/** Of the progress row, or of this machine: they pass, or are for the operator. */
const OTHERWISE: ReadonlySet<ErrorCode> = new Set([
  'STREAM_TAKEN_OVER',
  'STREAM_PROGRESS_MISSING',
  'STREAM_SPILL_FAILED',
]);

/** What a log has cannot be had from it, now or later. */
export function isLogLost(error: unknown): error is AppError {
  return (
    error instanceof AppError &&
    error.entry.kind === 'fatal' &&
    error.code.startsWith('STREAM_') &&
    !OTHERWISE.has(error.code)
  );
}
