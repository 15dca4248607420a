import type { StreamPosition } from '../../core/gtid.ts';
import type { ChangeStream } from '../stream/change-stream.ts';
import { readImportComment } from '../stream/import-mark.ts';
import { gtidsOf, type StreamTransaction } from '../stream/transaction.ts';

const WINDOW_TRANSACTIONS_MAX = 1000;
const WINDOW_BYTES_MAX = 4 * 1024 * 1024;

export interface CollectOptions {
  /** Taken from the stream before. */
  first: StreamTransaction | undefined;
  /** Undefined: for ever. */
  waitMs: number | undefined;
  /** What is behind it is left alone. */
  until: StreamPosition | undefined;
  signal: AbortSignal;
}

export interface Collected {
  transactions: StreamTransaction[];
  /** The first part of one that follows them. */
  large: StreamTransaction | undefined;
  /** The next one is behind `until`. */
  isPast: boolean;
}

/** DDL that is not ours, or that the reverse stream has brought: what else is ours leaves columns and keys as they are. */
export function redefines({ ddl, ours }: StreamTransaction): boolean {
  return ddl !== null && (!ours || readImportComment(ddl.sql) !== undefined);
}

/**
 * At least one transaction, and what is buffered behind it up to DDL, the first part of a `large` one or the end that was set; none
 * when `waitMs` passed first.
 */
export async function collect(
  stream: ChangeStream,
  { first, waitMs, until, signal }: CollectOptions,
): Promise<Collected> {
  const transactions: StreamTransaction[] = [];
  let bytes = 0;
  let next = first ?? stream.tryNext() ?? (await stream.nextWithin(waitMs, signal));
  while (next !== undefined) {
    if (until !== undefined && !gtidsOf(next).every((gtid) => until.coversGtid(gtid)))
      return { transactions, large: undefined, isPast: true };
    if (next.partial) return { transactions, large: next, isPast: false };
    transactions.push(next);
    bytes += next.bytes;
    const full = transactions.length >= WINDOW_TRANSACTIONS_MAX || bytes >= WINDOW_BYTES_MAX;
    next = full || redefines(next) ? undefined : stream.tryNext();
  }
  return { transactions, large: undefined, isPast: false };
}
