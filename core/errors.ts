import { ERROR_TABLE, type ErrorCode, type ErrorEntry } from './error-table.ts';

export type ErrorDetails = Readonly<Record<string, unknown>>;

/** The one error class that is shown to people. `details` and `message` never hold a secret. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(
    code: ErrorCode,
    message: string,
    { cause, details = {} }: { cause?: unknown; details?: ErrorDetails } = {},
  ) {
    super(message, cause === undefined ? {} : { cause });
    this.code = code;
    this.details = details;
  }

  get entry(): ErrorEntry {
    return ERROR_TABLE[this.code];
  }
}

/** The form in which an error crosses a process boundary or is stored. */
export interface SerializedError {
  code: ErrorCode;
  message: string;
  details: ErrorDetails;
}

export function serializeError(error: unknown): SerializedError {
  if (error instanceof AppError) return { code: error.code, message: error.message, details: error.details };
  return { code: 'INTERNAL', message: error instanceof Error ? error.message : String(error), details: {} };
}

export function deserializeError({ code, message, details }: SerializedError): AppError {
  return new AppError(code in ERROR_TABLE ? code : 'INTERNAL', message, { details });
}

/** For our own bugs only: a broken assumption crashes the process instead of going on with wrong state. */
export function assert(condition: unknown, message: string): asserts condition {
  if (condition !== true && !condition) throw new Error(`assertion failed: ${message}`);
}
