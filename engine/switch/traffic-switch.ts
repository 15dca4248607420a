import { randomUUID } from 'node:crypto';
import { abortable } from '../../core/abort.ts';
import { AppError } from '../../core/errors.ts';
import { otherSide, type Phase, type Side } from '../../core/phase.ts';
import type { Hold, RoutingRecord } from '../../core/routing-record.ts';
import { systemClock } from '../../core/clock.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { SwitchRequest } from '../api.ts';
import type { ProxyFleet } from '../control.ts';
import type { ImportRecord } from '../import-store.ts';
import type { ImportStreams } from '../import-streams.ts';
import type { ImportDocument, SwitchIntent } from '../import-document.ts';
import { nextPhase } from '../phase.ts';
import type { Route } from '../route.ts';
import { executedPosition } from '../server/position.ts';
import type { ServerConnection } from '../server/connection.ts';
import { createSidecar, ProgressRow } from '../sidecar.ts';
import type { AccountName } from './accounts.ts';
import { isFenceStanding, lowerFence, raiseFence, type FenceContext, type FenceKind } from './fence.ts';
import { proxiedIds } from './direct-connections.ts';
import { readSessions } from './process-list.ts';

/** What a switch acts upon; the runner implements it. */
export interface SwitchWorld {
  readonly record: ImportRecord;
  readonly route: Route;
  readonly fleet: ProxyFleet;
  readonly streams: ImportStreams;
  connect(side: Side): Promise<ServerConnection>;
  log(level: 'info' | 'warn' | 'error', message: string, details?: Record<string, unknown>): void;
}

export interface SwitchPlan {
  kind: SwitchRequest['kind'];
  to: Side;
  fence: FenceKind;
  /** What the fence `accounts` locks. */
  accounts: AccountName[];
}

const HOLD_ATTEMPTS = 3;

/**
 * The switch protocol of docs/ARCHITECTURE.md, steps 1 to 9, once the preflight has passed. Everything before the
 * decision can be undone and is, on any failure; the decision is one compare-and-set on the route; after it, only
 * forward. A crash at any point leaves the intent, from which `recoverSwitch` finishes.
 */
export class TrafficSwitch {
  readonly #world: SwitchWorld;
  readonly #plan: SwitchPlan;
  readonly #from: Side;
  #heldAtMs = 0;
  readonly #steps: Record<string, number> = {};

  constructor(world: SwitchWorld, plan: SwitchPlan) {
    this.#world = world;
    this.#plan = plan;
    this.#from = otherSide(plan.to);
  }

  /** When each step was done, ms after the hold. */
  get steps(): Readonly<Record<string, number>> {
    return this.#steps;
  }

  /** Milliseconds from the hold to the release. Rejects with SWITCH_ROLLED_BACK when it was given up before the decision. */
  async run(): Promise<number> {
    const { record, route, fleet } = this.#world;
    const { kind, to, fence, accounts } = this.#plan;
    await using from = await this.#world.connect(this.#from);
    // Locked tables are all that a connection can use: the lock has one of its own.
    await using locker = fence === 'lock_tables' ? await this.#world.connect(this.#from) : undefined;
    await using target = await this.#world.connect(to);
    if (kind === 'primaries') await createSidecar(from);
    const before = await route.of(record.document.id);
    const fromPhase = record.document.phase;
    const intent: SwitchIntent = {
      switchId: randomUUID(),
      kind,
      to,
      fromPhase,
      epoch: before.epoch,
      fence,
      fencedAccounts: accounts,
      startedAtMs: Date.now(),
    };
    const phase = nextPhase(fromPhase, kind === 'primaries' ? 'start_switch_primaries' : 'start_switch_replicas');
    await record.update(() => ({ intent, phase }));
    await failpoint('switch.intent');
    try {
      const held = await this.#hold(before);
      const epoch = await withinDeadline(held, (deadline) =>
        kind === 'primaries'
          ? this.#movePrimary(held, { from, to: target, fencing: locker ?? from }, deadline)
          : this.#moveReplica(held, from, deadline),
      );
      const decided = await this.#decide(epoch, record.document);
      await fleet.wait(decided.epoch, 'applied', 2000);
      this.#done('applied');
    } catch (error) {
      // An answer that did not arrive is settled by reading the record, never by a guess.
      if (!isDecided(await route.of(record.document.id), intent)) {
        await endStatements(this.#world, this.#from, from);
        if (locker !== undefined) await endStatements(this.#world, this.#from, locker);
        await endStatements(this.#world, to, target);
        await rollBackSwitch(this.#world, intent);
        throw rolledBack(error);
      }
    }
    const pauseMs = systemClock.monotonicMs() - this.#heldAtMs;
    await failpoint('switch.released');
    await locker?.close();
    await finishSwitch(this.#world, intent, pauseMs);
    return pauseMs;
  }

  /** Step 2: no new work on what moves; what is open ends normally. Tries again when the budget passes. */
  async #hold(before: RoutingRecord): Promise<RoutingRecord> {
    const { route, fleet, record } = this.#world;
    const { drainBudgetMs, pauseDeadlineMs } = record.document.options;
    let epoch = before.epoch;
    for (let attempt = 1; ; attempt += 1) {
      const deadlineMs = Date.now() + Math.max(pauseDeadlineMs, drainBudgetMs);
      this.#heldAtMs = systemClock.monotonicMs();
      const held = await route.change(epoch, { hold: this.#holdOf(before), deadlineMs, fenced: false });
      await failpoint('switch.hold');
      const report = await fleet.wait(held.epoch, 'drained', drainBudgetMs);
      this.#done('drained');
      if (report.reached) return held;
      const released = await route.change(held.epoch, { hold: 'none', deadlineMs: null, fenced: false });
      epoch = released.epoch;
      const undrained = report.proxies.flatMap((proxy) => proxy.undrained);
      const names = undrained
        .slice(0, 10)
        .map(({ user, address, reasons }) => `${user} from ${address} (${reasons.join(', ')})`);
      this.#world.log('warn', `sessions did not reach the end of their transaction within ${drainBudgetMs} ms`, {
        attempt,
        undrained: names,
      });
      if (attempt === HOLD_ATTEMPTS) {
        throw new AppError(
          'SWITCH_ROLLED_BACK',
          `${undrained.length} sessions were still busy after ${drainBudgetMs} ms: ${names.join('; ')}`,
          {
            details: { undrained },
          },
        );
      }
      await systemClock.sleep(500 * attempt);
    }
  }

  /** Primary traffic takes replica traffic along where the two would end up on different sides than before it. */
  #holdOf(before: RoutingRecord): Hold {
    if (this.#plan.kind === 'replicas') return 'replica';
    return this.#replicaAfter(this.#world.record.document) === before.replica ? 'primary' : 'all';
  }

  #replicaAfter({ replicasOnTarget }: ImportDocument): Side {
    if (this.#plan.to === 'target') return 'target';
    return this.#plan.kind === 'primaries' && replicasOnTarget ? 'target' : 'source';
  }

  /** Steps 3 to 6; returns the epoch on which the decision is made. Past the deadline no further step begins. */
  async #movePrimary(
    held: RoutingRecord,
    { from, to, fencing }: { from: ServerConnection; to: ServerConnection; fencing: ServerConnection },
    deadline: AbortSignal,
  ): Promise<number> {
    const { route, fleet, record } = this.#world;
    const { fence, accounts } = this.#plan;
    // From here no proxy releases on its own, however long this takes (I6).
    const { epoch } = await route.change(held.epoch, { fenced: true });
    const { reached } = await fleet.wait(epoch, 'drained', 1000);
    if (!reached) throw new AppError('SWITCH_ROLLED_BACK', 'a proxy did not confirm the hold in time');
    this.#done('held');
    deadline.throwIfAborted();
    // Proxies have confirmed that they keep still, and may have to give their sessions back on a rollback.
    const spared = fence === 'accounts' ? await proxiedIds(this.#world, this.#plan) : new Set<number>();
    await raiseFence(fence, { ...this.#fenceContext(this.#from, fencing), accounts, spared });
    this.#done('fenced');
    await failpoint('switch.fenced');
    await this.#catchUp(from, deadline);
    this.#done('caughtUp');
    await failpoint('switch.caught_up');
    deadline.throwIfAborted();
    // The stream into the new primary ends before R is read, so that nothing of it can follow R.
    await this.#world.streams.stopReplicationTo(this.#plan.to);
    const position = await executedPosition(to, flavorOf(record.document, this.#plan.to));
    // Behind the watch's own place there may be stray writes that nobody has seen yet: R would jump over them.
    if (!this.#world.streams.strayWatchKeeps(this.#from)) {
      const row = new ProgressRow(record.document.id, this.#from === 'target' ? 'forward' : 'reverse');
      await row.reset(from, position.toString());
    }
    deadline.throwIfAborted();
    const standing = record.document.fence;
    if (standing !== null && standing.side === this.#plan.to)
      await lowerFence(standing.kind, { ...this.#fenceContext(this.#plan.to, to), accounts: standing.accounts });
    // A lock that was lost with its connection has let writes in.
    if (fence === 'lock_tables') await isFenceStanding(fence, this.#fenceContext(this.#from, fencing));
    this.#done('reverseReady');
    await failpoint('switch.reverse_ready');
    return epoch;
  }

  /** Replica traffic only must not go back in time: the target has everything the source had when it was held. */
  async #moveReplica(held: RoutingRecord, from: ServerConnection, deadline: AbortSignal): Promise<number> {
    if (this.#plan.to === 'target') await this.#catchUp(from, deadline);
    return held.epoch;
  }

  async #catchUp(from: ServerConnection, deadline: AbortSignal): Promise<void> {
    const position = await executedPosition(from, flavorOf(this.#world.record.document, this.#from));
    const replication = this.#world.streams.replicationTo(this.#plan.to);
    if (replication === undefined)
      throw new AppError('SWITCH_ROLLED_BACK', `replication to the ${this.#plan.to} is not running`);
    await replication.waitFor(position, deadline);
  }

  /** Step 7. */
  async #decide(epoch: number, document: ImportDocument): Promise<RoutingRecord> {
    const { kind, to } = this.#plan;
    const sides = kind === 'primaries' ? { primary: to, replica: this.#replicaAfter(document) } : { replica: to };
    const decided = await this.#world.route.change(epoch, { ...sides, hold: 'none', deadlineMs: null, fenced: false });
    this.#done('decided');
    await failpoint('switch.decided');
    return decided;
  }

  #done(step: string): void {
    this.#steps[step] = Math.round(systemClock.monotonicMs() - this.#heldAtMs);
  }

  #fenceContext(side: Side, connection: ServerConnection): FenceContext {
    return fenceContext(this.#world.record.document, side, connection);
  }
}

/** Nothing between hold and decision may outlast the pause that was promised, not even a server that stopped answering. */
async function withinDeadline<T>(
  { deadlineMs }: RoutingRecord,
  work: (deadline: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = AbortSignal.timeout(Math.max(1, (deadlineMs ?? Date.now()) - Date.now()));
  const working = work(deadline);
  working.catch(() => {});
  try {
    return await abortable(working, deadline);
  } catch (cause) {
    if (!deadline.aborted || cause instanceof AppError) throw cause;
    throw new AppError('SWITCH_ROLLED_BACK', 'fence and catch-up were not done within the pause deadline', { cause });
  }
}

/** A fence that still waits on the server must not go up after the rollback took it down. */
async function endStatements(world: SwitchWorld, side: Side, connection: ServerConnection): Promise<void> {
  const { threadId } = connection;
  connection.destroy();
  try {
    await using other = await world.connect(side);
    await other.write(`KILL ${threadId}`).catch(() => {});
    for (let attempt = 0; attempt < 20; attempt += 1) {
      if (!(await readSessions(other)).some(({ id }) => id === threadId)) return;
      await systemClock.sleep(50);
    }
  } catch (error) {
    world.log('warn', `the statements of the switch on the ${side} could not be ended: ${(error as Error).message}`);
  }
}

function rolledBack(cause: unknown): AppError {
  const details = cause instanceof AppError ? { because: cause.code, ...cause.details } : {};
  const reason = (cause as Error).message;
  return new AppError(
    'SWITCH_ROLLED_BACK',
    `the switch was given up before its decision, traffic is where it was: ${reason}`,
    { cause, details },
  );
}

function isDecided(route: RoutingRecord, { kind, to }: SwitchIntent): boolean {
  return (kind === 'primaries' ? route.primary : route.replica) === to;
}

function flavorOf({ sourceFacts, targetFacts }: ImportDocument, side: Side) {
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

/** After a restart: finishes or undoes the switch that was under way, as the route says. */
export async function recoverSwitch(world: SwitchWorld): Promise<void> {
  const { intent, id } = world.record.document;
  if (intent === null) return;
  const route = await world.route.of(id);
  if (isDecided(route, intent)) {
    world.log('warn', 'a switch had been decided when the engine stopped: finishing it', { switchId: intent.switchId });
    await finishSwitch(world, intent, 0);
  } else {
    world.log('warn', 'a switch had not been decided when the engine stopped: undoing it', {
      switchId: intent.switchId,
    });
    await rollBackSwitch(world, intent);
  }
}

/** Step 9: idempotent. The old primary is fenced, the new one free, the stream of the other direction runs. */
async function finishSwitch(world: SwitchWorld, intent: SwitchIntent, pauseMs: number): Promise<void> {
  const { record } = world;
  const { kind, to, fence, fencedAccounts } = intent;
  // A table lock has ended with the switch.
  const standing =
    fence === 'none' || fence === 'lock_tables' ? null : { side: otherSide(to), kind: fence, accounts: fencedAccounts };
  const from = otherSide(to);
  if (kind === 'primaries') {
    await world.streams.stopReplicationTo(to);
    world.streams.startReplicationTo(from);
  }
  await record.update((document) => ({
    phase: phaseAfter(document, intent),
    intent: null,
    replicasOnTarget: kind === 'replicas' ? to === 'target' : document.replicasOnTarget,
    fence: kind === 'primaries' ? standing : document.fence,
    switches: [
      ...document.switches,
      { kind, to, atMs: Date.now(), pauseMs, fence: kind === 'primaries' ? fence : 'none' },
    ],
  }));
}

/** Idempotent: the old primary serves again as if nothing had been tried. */
async function rollBackSwitch(world: SwitchWorld, intent: SwitchIntent): Promise<void> {
  const { record, route } = world;
  const { kind, to, fromPhase } = intent;
  if (kind === 'primaries') {
    await restoreFences(world, intent);
    world.streams.startReplicationTo(to);
  }
  const current = await route.of(record.document.id);
  if (current.hold !== 'none') await route.change(current.epoch, { hold: 'none', deadlineMs: null, fenced: false });
  await record.update(() => ({ phase: fromPhase, intent: null }));
}

/**
 * The fences as they stood before the switch. A server that cannot be reached keeps nobody waiting: a fence that
 * stays costs errors on writes, holding on would cost all traffic, and neither loses a write.
 */
async function restoreFences(world: SwitchWorld, { to, fence, fencedAccounts }: SwitchIntent): Promise<void> {
  const { document } = world.record;
  const from = otherSide(to);
  try {
    await using connection = await world.connect(from);
    await lowerFence(fence, { ...fenceContext(document, from, connection), accounts: fencedAccounts });
  } catch (error) {
    world.log(
      'error',
      `the fence (${fence}) on the ${from} could not be taken away, writes there may be refused: ${(error as Error).message}`,
    );
  }
  const standing = document.fence;
  if (standing === null || standing.side !== to) return;
  try {
    await using connection = await world.connect(to);
    await raiseFence(standing.kind, { ...fenceContext(document, to, connection), accounts: standing.accounts });
  } catch (error) {
    world.log('error', `the fence (${standing.kind}) on the ${to} could not be put back: ${(error as Error).message}`);
  }
}

function phaseAfter({ replicasOnTarget }: ImportDocument, { kind, to }: SwitchIntent): Phase {
  if (kind === 'replicas') return to === 'target' ? 'switched_replicas' : 'running';
  if (to === 'target') return 'switched_primaries';
  return replicasOnTarget ? 'switched_replicas' : 'running';
}
