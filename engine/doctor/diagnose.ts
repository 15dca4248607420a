import { otherSide, SIDES, type Side } from '../../core/phase.ts';
import type { RoutingRecord } from '../../core/routing-record.ts';
import type { ProxyAck } from '../../core/control/protocol.ts';
import type { StrayWritesView, StreamView } from '../api.ts';
import type { ImportDocument } from '../import-document.ts';
import { isFinal } from '../phase.ts';
import type { ServerState } from './doctor-report.ts';
import type { SymptomCode } from './symptom-table.ts';

/** Everything that was looked at. */
export interface Examination {
  document: ImportDocument;
  route: RoutingRecord;
  /** Null once the credentials are erased. */
  servers: Record<Side, ServerState> | null;
  streams: StreamView[];
  strayWrites: StrayWritesView | null;
  proxies: ProxyAck[];
  /** What the servers tell and the state does not know (ADR 27); null: nothing. */
  outdated: string | null;
  /** A request is under way: a hold, an intent and fences are then as they should be. */
  isBusy: boolean;
}

export interface Symptom {
  code: SymptomCode;
  side: Side | null;
  message: string;
}

/** Pure: from what was looked at to what is wrong. */
export function diagnose(examination: Examination): Symptom[] {
  const { outdated } = examination;
  // Measured by a state that is not true, right would look wrong: a fence that must stand, a stream that must not run.
  if (outdated !== null) {
    const symptom = { code: 'STATE_OUTDATED' as const, side: null, message: outdated };
    return [symptom, ...serverSymptoms(examination), ...proxySymptoms(examination)];
  }
  return [
    ...serverSymptoms(examination),
    ...routeSymptoms(examination),
    ...(examination.isBusy ? [] : fenceSymptoms(examination)),
    ...streamSymptoms(examination),
    ...proxySymptoms(examination),
  ];
}

/** The side that the phase says is primary; after an error the phase it came from. */
export function primaryByPhase({ phase, error }: ImportDocument): Side {
  const effective = error?.fromPhase ?? phase;
  return effective === 'switched_primaries' || effective === 'completed' ? 'target' : 'source';
}

function serverSymptoms({ servers }: Examination): Symptom[] {
  if (servers === null) return [];
  return SIDES.flatMap((side): Symptom[] => {
    const { answers, reason } = servers[side];
    if (answers) return [];
    const isRefused = reason?.startsWith('LOGIN_REFUSED') === true;
    return [{ code: isRefused ? 'CREDENTIALS_REFUSED' : 'SERVER_AWAY', side, message: `the ${side}: ${reason ?? ''}` }];
  });
}

function routeSymptoms({ document, route, isBusy }: Examination): Symptom[] {
  const found: Symptom[] = [];
  const { intent, error, phase } = document;
  if (error !== null) found.push({ code: 'IMPORT_FAILED', side: null, message: `${error.code}: ${error.message}` });
  if (isBusy || isFinal(phase)) return found;
  if (intent !== null) {
    const message = `the switch of ${intent.kind} to the ${intent.to} (${intent.switchId})`;
    found.push({ code: 'SWITCH_INTERRUPTED', side: intent.to, message });
    return found;
  }
  if (route.hold !== 'none')
    found.push({ code: 'TRAFFIC_HELD', side: null, message: `${route.hold} is held since epoch ${route.epoch}` });
  if (route.primary !== primaryByPhase(document)) {
    const message = `the route says ${route.primary} at epoch ${route.epoch}, the phase is ${phase}`;
    found.push({ code: 'ROUTE_AND_PHASE_DIFFER', side: null, message });
  }
  return found;
}

function fenceSymptoms({ document, route, servers }: Examination): Symptom[] {
  const { leftFence, eventsLeft, intent, phase } = document;
  if (servers === null || intent !== null || isFinal(phase)) return [];
  const found: Symptom[] = [];
  if (leftFence !== null)
    found.push({ code: 'FENCE_LEFT', side: leftFence.side, message: `${leftFence.kind} on the ${leftFence.side}` });
  for (const side of eventsLeft) {
    const action = side === route.primary ? 'enabled' : 'disabled';
    found.push({ code: 'EVENTS_LEFT', side, message: `events are not ${action} on the ${side}` });
  }
  const primary = route.primary;
  const { readOnly, readOnlyPersisted, fenceTriggers } = servers[primary];
  if (fenceTriggers.length > 0)
    found.push({
      code: 'PRIMARY_FENCED',
      side: primary,
      message: `${fenceTriggers.length} triggers on the ${primary}`,
    });
  if (readOnly) {
    // Ours where a switch used that form before; else somebody else's.
    const isOurs = document.switches.some(({ fence: kind }) => kind === 'read_only');
    const code = isOurs ? 'PRIMARY_FENCED' : 'PRIMARY_READ_ONLY';
    found.push({ code, side: primary, message: `the ${primary} is read_only` });
  }
  if (readOnlyPersisted)
    found.push({ code: 'READ_ONLY_PERSISTED', side: primary, message: `persisted on the ${primary}` });
  found.push(...oldPrimarySymptoms(document, otherSide(primary), servers[otherSide(primary)]));
  return found;
}

function oldPrimarySymptoms({ fence, leftFence }: ImportDocument, side: Side, state: ServerState): Symptom[] {
  const { answers, fenceTriggers, fenceStands } = state;
  if (!answers) return [];
  if (fence?.side !== side) {
    if (fenceTriggers.length === 0 || leftFence?.side === side) return [];
    return [{ code: 'LEFTOVER_TRIGGERS', side, message: `${fenceTriggers.length} triggers on the ${side}` }];
  }
  return fenceStands === false ? [{ code: 'FENCE_MISSING', side, message: `${fence.kind} on the ${side}` }] : [];
}

function streamSymptoms({ document, servers, streams, strayWrites }: Examination): Symptom[] {
  const { phase, options } = document;
  const direction = expectedDirection(phase);
  const expected = direction === 'reverse' && options.reverse === 'off' ? null : direction;
  const found: Symptom[] = [];
  if (expected !== null) {
    const runs = streams.some(
      ({ direction, state }) => direction === expected && state !== 'stopped' && state !== 'failed',
    );
    const side: Side = expected === 'forward' ? 'target' : 'source';
    if (!runs) found.push({ code: 'STREAM_STOPPED', side, message: `replication to the ${side}` });
    const server = servers?.[side];
    if (server?.answers === true && !server.progress.some(({ direction }) => direction === expected))
      found.push({ code: 'PROGRESS_MISSING', side, message: `no row ${expected} on the ${side}` });
  }
  if (strayWrites?.watch === 'failed')
    found.push({ code: 'STRAY_WATCH_FAILED', side: 'source', message: 'the log of the source' });
  if (strayWrites !== null && strayWrites.unapplied > 0)
    found.push({
      code: 'STRAY_WRITES_UNAPPLIED',
      side: 'source',
      message: `${strayWrites.unapplied} of ${strayWrites.count}`,
    });
  return found;
}

function expectedDirection(phase: ImportDocument['phase']): 'forward' | 'reverse' | null {
  switch (phase) {
    case 'running':
    case 'verifying_data':
    case 'verified_data':
    case 'switched_replicas':
      return 'forward';
    case 'switched_primaries':
      return 'reverse';
    case 'pending':
    case 'copying':
    case 'switching_replicas':
    case 'switching_primaries':
    case 'completed':
    case 'cancelled':
    case 'error':
      return null;
    default:
      throw new Error(`unknown phase ${String(phase satisfies never)}`);
  }
}

function proxySymptoms({ route, proxies, document }: Examination): Symptom[] {
  if (isFinal(document.phase)) return [];
  if (proxies.length === 0) return [{ code: 'PROXIES_MISSING', side: null, message: 'none is connected' }];
  return proxies
    .filter(({ epoch }) => epoch < route.epoch)
    .map(({ instanceId, epoch }) => ({
      code: 'PROXY_BEHIND' as const,
      side: null,
      message: `${instanceId} is at epoch ${epoch}, the route at ${route.epoch}`,
    }));
}
