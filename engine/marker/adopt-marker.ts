import { failpoint } from '../../core/failpoint.ts';
import type { ImportWorld } from '../import-world.ts';
import { readStored } from '../read-stored.ts';
import { markerToAdopt, type Markers } from './judge-markers.ts';
import { markedStateSchema } from './route-marker.ts';

/** Proxies neither serve nor release by themselves: what the route says may be the opposite of what is so (I6). */
const HELD = { hold: 'all', deadlineMs: null, fenced: true } as const;

export async function holdOutdated({ record, route }: Pick<ImportWorld, 'record' | 'route'>): Promise<void> {
  const { epoch, hold, fenced } = await route.of(record.document.id);
  if (hold !== 'all' || !fenced) await route.change(epoch, HELD);
}

/**
 * Brings route and document to the newest decision that the servers tell of; traffic stays held. The route first: an engine that
 * dies in between finds the state outdated still, and does it again. Rejects with STATE_OUTDATED where only a person can decide.
 */
export async function adoptMarker(
  world: Pick<ImportWorld, 'record' | 'route' | 'log'>,
  markers: Markers,
): Promise<void> {
  const { record, route } = world;
  const { document } = record;
  const current = await route.of(document.id);
  const marker = markerToAdopt(document, current, markers);
  const told = `what the ${marker.side} tells of ${document.id}`;
  const state = readStored(markedStateSchema.strip(), JSON.parse(marker.state), told);
  const { primary, replica, epoch } = marker;
  await route.overtake(current.epoch, epoch, { ...HELD, primary, replica });
  await failpoint('marker.route_taken_over');
  const known = new Set(state.decisions.map(({ id }) => id));
  await record.update(({ decisions }) => ({
    ...state,
    decisions: [...decisions.filter(({ id }) => !known.has(id)), ...state.decisions],
    intent: null,
    error: null,
  }));
  world.log(
    'warn',
    `taken over from the ${marker.side}: primary ${primary}, replica ${replica}, phase ${state.phase}`,
    {
      decision: marker.decision,
      epoch,
    },
  );
}
