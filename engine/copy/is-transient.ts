import { isAbort } from '../../core/abort.ts';
import { AppError } from '../../core/errors.ts';
import { errnoOf } from '../server/connection.ts';

/** 1040 too many connections, 1205 and 1213 locks held by others, 1317 interrupted. */
const ERRNOS = new Set([1040, 1205, 1213, 1317]);

/** Deadlocks and lock waits between neighbouring chunks, and connections: what another try may cure. */
export function isTransient(error: unknown): boolean {
  if (isAbort(error) || !(error instanceof AppError)) return false;
  const errno = errnoOf(error);
  return (
    error.code === 'SERVER_GONE' ||
    error.code === 'SERVER_UNREACHABLE' ||
    error.code === 'SERVER_READ_ONLY' ||
    (errno !== undefined && ERRNOS.has(errno))
  );
}
