import { AppError } from '../../core/errors.ts';
import { SIDES, type Side } from '../../core/phase.ts';
import type { RoutingRecord } from '../../core/routing-record.ts';
import type { ImportDocument } from '../import-document.ts';
import { isDecided } from '../switch/switch-world.ts';
import { knownOutdated } from './known-outdated.ts';
import { isSameName } from '../stream/stream-scope.ts';
import { beginningOf, originOf, type RouteMarker } from './route-marker.ts';

/** What each server tells; null: it does not answer. */
export type Markers = Record<Side, RouteMarker[] | null>;

export interface SideMarker extends RouteMarker {
  side: Side;
}

/**
 * Pure: what is told of decisions that the state does not know. Told apart by the id of the decision and not by its epoch: a
 * state that was put back and used on counts on, and its epochs say nothing of those of the other one.
 */
export function unknownMarkers(document: ImportDocument, route: RoutingRecord, markers: Markers): SideMarker[] {
  return markersOf(document, markers).filter(
    (marker) => !isKnown(document, route, marker) && !isRival(document, route, marker),
  );
}

/**
 * Pure: an import that was begun later fills tables of ours on the target, and says nothing of where our traffic belongs. The target
 * is of no use to us then, and traffic is none of its business (ADR 32).
 */
export function rivalMarker(document: ImportDocument, route: RoutingRecord, markers: Markers): SideMarker | undefined {
  return markersOf(document, markers).find(
    (marker) => !isKnown(document, route, marker) && isRival(document, route, marker),
  );
}

/**
 * Pure: what the import is to be brought to. Rejects with STATE_OUTDATED and why where a person has to decide: the side that
 * the newest decision made primary must answer, the decision must be of this import, and no other one may stand beside it.
 */
export function markerToAdopt(document: ImportDocument, route: RoutingRecord, markers: Markers): SideMarker {
  const unknown = unknownMarkers(document, route, markers);
  const foreign = unknown.find((marker) => !isOfImport(document, marker));
  if (foreign !== undefined)
    throw refusal(`the ${foreign.side} tells of another import (${foreign.importId}) that was begun later`);
  if (document.error?.code === 'CANCEL_UNFINISHED')
    throw refusal('cancelling had begun before, and what it has removed cannot be told');
  const told = markersOf(document, markers).filter((marker) => isOfImport(document, marker));
  const newest = Math.max(...told.map(({ epoch }) => epoch));
  const best =
    told.find(({ epoch, primary, side }) => epoch === newest && side === primary) ??
    told.find(({ epoch }) => epoch === newest);
  if (best === undefined) throw refusal('no server that answers tells where traffic was sent');
  if (!unknown.some(({ decision }) => decision === best.decision))
    throw refusal(
      'the newest decision is one of this state, and an older one is not: two states went on beside each other',
    );
  if (told.some(({ epoch, decision }) => epoch === newest && decision !== best.decision))
    throw refusal('the servers tell of two different decisions of the same age: two states went on beside each other');
  if (markers[best.primary] === null)
    throw refusal(`the ${best.primary}, which the newest decision made primary, does not answer`);
  return best;
}

/** For people. */
export function describeMarkers(unknown: readonly SideMarker[], route: RoutingRecord): string {
  const told = unknown.map(
    ({ side, importId, primary, replica, epoch, writtenAtMs }) =>
      `the ${side} tells that ${importId} was switched at ${new Date(writtenAtMs).toISOString()} ` +
      `(epoch ${epoch}: primary ${primary}, replica ${replica})`,
  );
  return `${told.join('; ')}; this state is of epoch ${route.epoch} (primary ${route.primary}, replica ${route.replica}) and does not know of it`;
}

/**
 * On the target, other imports of the same tables too: two at once cannot be. On the source they can (a rehearsal into
 * another target).
 */
function markersOf(document: ImportDocument, markers: Markers): SideMarker[] {
  return SIDES.flatMap((side) =>
    (markers[side] ?? [])
      .filter((marker) => marker.importId === document.id || (side === 'target' && hasTablesOf(document, marker)))
      .map((marker) => ({ ...marker, side })),
  );
}

function hasTablesOf({ database, tables }: ImportDocument, marker: RouteMarker): boolean {
  if (marker.database !== database) return false;
  const { tables: theirs } = originOf(marker);
  return theirs === undefined || tables.some((name) => theirs.some((other) => isSameName(other, name)));
}

/**
 * Where all our traffic is on the source, and the other import has not sent that source's applications to the target: it was never
 * switched, or brings another server. Else it may be what came behind an old state of ours, and traffic is where that one has sent it.
 */
function isRival({ id, sourceFacts }: ImportDocument, route: RoutingRecord, marker: SideMarker): boolean {
  if (marker.importId === id || route.primary !== 'source' || route.replica !== 'source') return false;
  const { sourceServer } = originOf(marker);
  const isOfAnotherSource = sourceServer !== undefined && sourceServer !== sourceFacts.serverUuid;
  return marker.decision === beginningOf(marker) || isOfAnotherSource;
}

function isKnown(document: ImportDocument, route: RoutingRecord, marker: SideMarker): boolean {
  const { decisions, intent, createdAtMs } = document;
  if (decisions.some(({ id }) => id === marker.decision)) return true;
  // Begun earlier, it had ended when this one was created. A server that is put back from a backup tells of it again, and so does a
  // write that had waited for long.
  if (!isOfImport(document, marker)) return marker.createdAtMs <= createdAtMs;
  if (marker.decision === beginningOf(document)) return true;
  // Decided, and the engine died before it had noted that: finished in a moment. Once the state was found outdated, the route may
  // show the decision because it was taken over: the rest of that is to be done, too.
  return intent?.switchId === marker.decision && isDecided(route, intent) && knownOutdated(document) === null;
}

function isOfImport({ id, createdAtMs }: ImportDocument, marker: RouteMarker): boolean {
  return marker.importId === id && marker.createdAtMs === createdAtMs;
}

function refusal(why: string): AppError {
  return new AppError('STATE_OUTDATED', `it cannot be told where traffic belongs: ${why}`);
}
