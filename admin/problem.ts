import { AppError } from '../core/errors.ts';
import type { ErrorCode, ErrorEntry } from '../core/error-table.ts';
import { redact, redactText } from '../core/redact.ts';

/** RFC 9457 problem document. `code`, `remedy`, `retryable` and `details` are our extension members. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: ErrorCode;
  remedy: string;
  retryable: boolean;
  details: Record<string, unknown>;
}

const STATUS_BY_KIND: Record<ErrorEntry['kind'], number> = {
  usage: 400,
  refused: 409,
  retryable: 503,
  ambiguous: 500,
  fatal: 500,
};

const STATUS_BY_CODE: Partial<Record<ErrorCode, number>> = {
  UNAUTHORIZED: 401,
  ORIGIN_REFUSED: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  BODY_TOO_LARGE: 413,
  CONTENT_TYPE_WRONG: 415,
};

export function statusOf(error: AppError): number {
  return STATUS_BY_CODE[error.code] ?? STATUS_BY_KIND[error.entry.kind];
}

/** Anything that is not an AppError is a defect of ours: its text stays in our log, since nobody vetted it for secrets. */
export function problemOf(error: unknown): Problem {
  const shown =
    error instanceof AppError ? error : new AppError('INTERNAL', 'an unexpected error; the server log has it');
  return {
    type: `urn:switchyard:error:${shown.code}`,
    title: shown.entry.meaning,
    status: statusOf(shown),
    detail: redactText(shown.message),
    code: shown.code,
    remedy: shown.entry.remedy,
    retryable: shown.entry.kind === 'retryable',
    details: redact(shown.details) as Record<string, unknown>,
  };
}
