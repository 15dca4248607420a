import { Backoff } from '../../core/backoff.ts';
import { AppError } from '../../core/errors.ts';
import type { ImportView } from '../../engine/api.ts';
import type { AdminClient } from '../client.ts';

/** How long the admin API may be away before following an import is given up. */
const PATIENCE_MS = 60_000;

/**
 * Tells `onView` of every change until `done` is true of a view, and answers that view. A lost connection is made
 * again: following an import must survive a restart of the supervisor or of the engine.
 */
export async function followImport(
  client: AdminClient,
  id: string,
  { onView, done }: { onView: (view: ImportView) => void; done: (view: ImportView) => boolean },
): Promise<ImportView> {
  const backoff = new Backoff({ initialMs: 200, maxMs: 5000 });
  const forever = new AbortController().signal;
  let failingSinceMs: number | undefined;
  for (;;) {
    try {
      for await (const event of client.watch(id)) {
        if (event.kind !== 'import') continue;
        failingSinceMs = undefined;
        backoff.reset();
        onView(event.view);
        if (done(event.view)) return event.view;
      }
    } catch (error) {
      const retryable = error instanceof AppError && error.entry.kind === 'retryable';
      failingSinceMs ??= performance.now();
      if (!retryable || performance.now() - failingSinceMs > PATIENCE_MS) throw error;
    }
    await backoff.wait(forever);
  }
}
