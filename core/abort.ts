/**
 * Cancelling is a clean end, told apart from failures by `isAbort`. One tree of signals reaches from `main.ts` to
 * every wait in a process.
 */

/** A controller that also aborts when `parent` does. Aborting the child leaves the parent alone. */
export function childController(parent: AbortSignal): AbortController {
  const controller = new AbortController();
  if (parent.aborted) {
    controller.abort(parent.reason);
    return controller;
  }
  const forward = () => controller.abort(parent.reason);
  parent.addEventListener('abort', forward, { once: true, signal: controller.signal });
  return controller;
}

/** True for the rejection of anything that was cancelled by an `AbortSignal`. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || ('code' in error && error.code === 'ABORT_ERR'));
}

/** Rejects with an `AbortError` when `signal` aborts before `promise` settles; the work itself is not stopped. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  // Nobody waits for it any more: its failure must not end the process.
  if (signal.aborted) promise.catch(() => {});
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () =>
    reject(signal.reason instanceof Error ? signal.reason : new DOMException('Aborted', 'AbortError'));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
