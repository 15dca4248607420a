import { otherSide, type Phase, type Side } from '../../core/phase.ts';
import type { Hold, RoutingRecord } from '../../core/routing-record.ts';
import type { ImportOptions, ServerFacts, SwitchRequest } from '../api.ts';
import type { ProxyFleet } from '../control.ts';
import type { ImportDocument, SwitchIntent } from '../import-document.ts';
import type { ImportRecord } from '../import-store.ts';
import type { ImportStreams } from '../import-streams.ts';
import type { MarkerKeeper } from '../marker/marker-keeper.ts';
import type { ObjectPlace } from '../objects/read-objects.ts';
import type { Route } from '../route.ts';
import type { VerificationAtSwitch } from '../verification/verification-at-switch.ts';
import type { OpenOptions, ServerConnection } from '../server/connection.ts';
import type { AccountName } from './accounts.ts';
import { connectionsBeside, type FenceContext, type FenceKind } from './fence.ts';

/** What a switch acts upon. */
export interface SwitchWorld {
  readonly record: ImportRecord;
  readonly route: Route;
  readonly fleet: ProxyFleet;
  readonly streams: ImportStreams;
  readonly verification: VerificationAtSwitch;
  readonly marker: MarkerKeeper;
  /** Aborts when the engine ends: what is under way is then left to the next one. */
  readonly signal: AbortSignal;
  connect(side: Side, options?: OpenOptions): Promise<ServerConnection>;
  log(level: 'info' | 'warn' | 'error', message: string, details?: Record<string, unknown>): void;
}

export interface SwitchPlan {
  kind: SwitchRequest['kind'];
  to: Side;
  fence: FenceKind;
  /** What the fence `accounts` locks. */
  accounts: AccountName[];
  /** What happens to sessions that do not let go. */
  drainPolicy: ImportOptions['drainPolicy'];
  drainBudgetMs: number;
  pauseDeadlineMs: number;
  /** The rows were said to be equal: they are at the decision, or it does not come to it. */
  isVerified: boolean;
  /** Codes of the refusals that it goes on over. */
  forced: string[];
}

/** The commit point, as the route shows it. */
export function isDecided(route: RoutingRecord, { kind, to }: Pick<SwitchIntent, 'kind' | 'to'>): boolean {
  return (kind === 'primaries' ? route.primary : route.replica) === to;
}

export function flavorOf({ sourceFacts, targetFacts }: ImportDocument, side: Side): ServerFacts['flavor'] {
  return side === 'source' ? sourceFacts.flavor : targetFacts.flavor;
}

export function fenceContext(document: ImportDocument, side: Side, connection: ServerConnection): FenceContext {
  return {
    connection,
    flavor: flavorOf(document, side),
    database: document.database,
    tables: document.tables,
    accounts: [],
  };
}

/** As far as the server has room for them: the one does it alone too. They end with `stack`. */
export async function connectBeside(
  world: SwitchWorld,
  side: Side,
  { kind, stack, options }: { kind: FenceKind; stack: AsyncDisposableStack; options?: OpenOptions },
): Promise<ServerConnection[]> {
  const count = connectionsBeside(kind, world.record.document.tables);
  const opened = await Promise.allSettled(Array.from({ length: count }, () => world.connect(side, options)));
  return opened.flatMap((one) => (one.status === 'fulfilled' ? [stack.use(one.value)] : []));
}

export function objectPlace({ database, tables }: ImportDocument, connection: ServerConnection): ObjectPlace {
  return { connection, database, tables };
}

/** Primary traffic takes replica traffic along where the two would end up on different sides than before it. */
export function replicaSideAfter(
  { replicasOnTarget }: ImportDocument,
  { kind, to }: Pick<SwitchIntent, 'kind' | 'to'>,
): Side {
  if (to === 'target') return 'target';
  return kind === 'primaries' && replicasOnTarget ? 'target' : 'source';
}

/** Whether a stream from the new primary back to the old one follows. */
export function hasStreamBack({ options }: ImportDocument, to: Side): boolean {
  return to === 'source' || options.reverse !== 'off';
}

/**
 * Replica traffic stays on the server that primary traffic leaves (back, in `switched_replicas`). Where both are on one server it may
 * write until the decision, and what it wrote behind F would be on the old primary alone. See ADR 35.
 */
export function leavesReplicas(
  document: ImportDocument,
  intent: Pick<SwitchIntent, 'kind' | 'to'>,
  { replica, endpoints }: Pick<RoutingRecord, 'replica' | 'endpoints'>,
): boolean {
  const stays = intent.kind === 'primaries' && replica !== intent.to && replicaSideAfter(document, intent) === replica;
  const { primary, replica: host } = endpoints[replica];
  return stays && (host === null || (host.host === primary.host && host.port === primary.port));
}

/** Whose sessions take no new transaction while the switch is under way; `route` as before it. */
export function holdDuring(
  document: ImportDocument,
  intent: Pick<SwitchIntent, 'kind' | 'to'>,
  route: Pick<RoutingRecord, 'replica' | 'endpoints'>,
): Hold {
  if (intent.kind === 'replicas') return 'replica';
  const moves = replicaSideAfter(document, intent) !== route.replica;
  return moves || leavesReplicas(document, intent, route) ? 'all' : 'primary';
}

export function phaseAfter({ replicasOnTarget }: ImportDocument, { kind, to }: SwitchIntent): Phase {
  if (kind === 'replicas') return to === 'target' ? 'switched_replicas' : 'running';
  if (to === 'target') return 'switched_primaries';
  return replicasOnTarget ? 'switched_replicas' : 'running';
}

/** The fence that stands once the switch is done; a table lock has ended with it. */
export function standingAfter(
  document: ImportDocument,
  { kind, to, fence, fencedAccounts }: SwitchIntent,
): ImportDocument['fence'] {
  if (kind === 'replicas') return document.fence;
  if (fence === 'none' || fence === 'lock_tables') return null;
  return { side: otherSide(to), kind: fence, accounts: fencedAccounts };
}
