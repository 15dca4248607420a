import { isAbort } from '../core/abort.ts';
import { Backoff } from '../core/backoff.ts';
import { AppError } from '../core/errors.ts';

export interface ReconnectingOptions {
  signal: AbortSignal;
  /** A session has failed of what passes; the next one begins after a while, a longer one each time. */
  onRetry: (error: AppError) => void;
}

/**
 * One session after the other, each with connections of its own, until `signal` aborts; rejects with what does not pass by
 * itself. A session says by `onOpen` that it has come so far that the next failure is another one.
 */
export async function reconnecting(
  session: (onOpen: () => void) => Promise<void>,
  { signal, onRetry }: ReconnectingOptions,
): Promise<void> {
  const backoff = new Backoff({ initialMs: 100, maxMs: 5000 });
  while (!signal.aborted) {
    try {
      await session(() => backoff.reset());
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      if (!(error instanceof AppError) || error.entry.kind !== 'retryable') throw error;
      onRetry(error);
      await backoff.wait(signal).catch(() => {});
    }
  }
}
