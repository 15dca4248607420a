import { AppError } from '../core/errors.ts';
import type { RoutingRecord } from '../core/routing-record.ts';
import type { StateStore } from '../core/store/state-store.ts';
import { importDocumentSchema } from '../engine/import-document.ts';
import { knownOutdated } from '../engine/marker/known-outdated.ts';

/**
 * For who takes over: proxies would wait for the decision of an engine that is being ended. Rejects with what holds traffic, and what to
 * do, since that is all that a command line shows.
 */
export async function assertNoHold(store: Pick<StateStore, 'get'>): Promise<void> {
  const route = (await store.get('route'))?.value as RoutingRecord | undefined;
  if (route === undefined || route.hold === 'none') return;
  const { importId } = route;
  const stored = importDocumentSchema.safeParse((await store.get(`import/${importId}`))?.value);
  const outdated = stored.success ? knownOutdated(stored.data) : null;
  if (outdated !== null) {
    throw new AppError(
      'STATE_OUTDATED',
      `traffic is held, since this data directory does not know the last switch (${outdated}). First \`switchyard doctor ${importId} --repair\`, ` +
        'or put the newest data directory back with the running Switchyard ended; then take over',
    );
  }
  if (stored.success && stored.data.intent === null) {
    throw new AppError(
      'OPERATION_IN_PROGRESS',
      `traffic is held although no switch is under way: first \`switchyard doctor ${importId} --repair\`, then take over`,
    );
  }
  throw new AppError('OPERATION_IN_PROGRESS', 'a switch holds traffic at this moment: take over when it is done');
}
