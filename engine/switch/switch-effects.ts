import { systemClock } from '../../core/clock.ts';
import type { PinnedSession } from '../../core/control/protocol.ts';
import { AppError } from '../../core/errors.ts';
import { parsePosition, type StreamPosition } from '../../core/gtid.ts';
import { otherSide, SIDES, type Side } from '../../core/phase.ts';
import { RELEASED, type Hold, type RoutingRecord } from '../../core/routing-record.ts';
import type { ImportDocument, SwitchIntent } from '../import-document.ts';
import { createTriggers, disableEvents, enableEvents } from '../objects/active-objects.ts';
import { nextPhase } from '../phase.ts';
import { briefly } from '../server/briefly.ts';
import { executedPosition } from '../server/position.ts';
import type { ServerConnection } from '../server/connection.ts';
import { lanesAhead, ProgressRow } from '../sidecar.ts';
import { proxiedIds } from './direct-connections.ts';
import { endStatements } from './end-statements.ts';
import { keepForwardPosition, settleWriteBack } from '../write-back/settle-write-back.ts';
import type { StagedDefinitions } from './staged-definitions.ts';
import { noteStrayEnd } from '../stray/stray-end.ts';
import { forgetFence, isFenceStanding, lowerFence, persistFence, putBackFence, raiseFence } from './fence.ts';
import { refusalOfPrepared, sidesWithoutPrepared } from './prepared-transactions.ts';
import type { Step, SwitchEvent } from './protocol.ts';
import {
  connectBeside,
  fenceContext,
  flavorOf,
  hasStreamBack,
  holdDuring,
  isDecided,
  objectPlace,
  phaseAfter,
  replicaSideAfter,
  standingAfter,
  type SwitchPlan,
  type SwitchWorld,
} from './switch-world.ts';

/** The connections of a switch, opened before its hold. */
export interface SwitchConnections {
  from: ServerConnection;
  to: ServerConnection;
  /** Where the fence goes up: for `lock_tables` one of its own, since locked tables are all that it can use. */
  fencing: ServerConnection;
  /** More for the triggers of many tables. */
  beside: readonly ServerConnection[];
}

type SwitchBudgets = Pick<SwitchPlan, 'drainBudgetMs' | 'pauseDeadlineMs'>;

/** What a switch has, and a recovery has not. */
interface SwitchMeans {
  connections?: SwitchConnections;
  definitions?: StagedDefinitions | undefined;
  budgets?: SwitchBudgets;
}

/** On the way back everybody waits: a server that does not answer is given up soon. */
const UNDO_CONNECT_MS = 1000;
const UNDO_MS = 3000;
/** Five of them, until a server is known not to answer (`SilenceWatch`). */
const UNDO_SILENCE_MS = 600;
const CONFIRM_MS = 1000;
const ANNOUNCE_MS = 2000;
/** For the rows that were written last; most have been compared before the hold. */
const VERIFY_MS_MAX = 2000;

/** What each step of the protocol does to the world. Every effect can be done twice. */
export class SwitchEffects {
  readonly #world: SwitchWorld;
  readonly #intent: SwitchIntent;
  readonly #from: Side;
  readonly #connections: SwitchConnections | undefined;
  readonly #definitions: StagedDefinitions | undefined;
  readonly #budgets: SwitchBudgets;
  #epoch: number;
  /** As of that epoch. */
  #hold: Hold = 'none';
  #fencedTables: readonly string[] | undefined;
  #position: StreamPosition | undefined;
  #settledAt: StreamPosition | undefined;
  #writtenAtSettling: number | undefined;
  /** Whether a fence that is to go is gone. */
  #isUnsure = false;
  /** Where events are not as they are to be. */
  readonly #eventsLeft = new Set<Side>();
  undrained: PinnedSession[] = [];
  /** Proxies that did not say that they hold. */
  silentProxies = 0;
  /** When the hold began: monotonic, and by the wall clock. */
  heldAtMs: number | undefined;
  heldFromMs: number | undefined;
  /** Monotonic: a wall clock that is put back must not make a pause longer. */
  deadlineAtMs: number | undefined;

  /** Without connections: a recovery, which never goes forward before the decision. */
  constructor(
    world: SwitchWorld,
    intent: SwitchIntent,
    { connections, definitions, budgets = world.record.document.options }: SwitchMeans = {},
  ) {
    this.#world = world;
    this.#intent = intent;
    this.#from = otherSide(intent.to);
    this.#connections = connections;
    this.#definitions = definitions;
    this.#budgets = budgets;
    this.#epoch = intent.epoch;
  }

  async perform(step: Step, attempt: number): Promise<SwitchEvent> {
    const { record, route, fleet, streams } = this.#world;
    const { kind, to } = this.#intent;
    const { drainBudgetMs } = this;
    switch (step) {
      case 'intent':
        await this.#storeIntent();
        return 'done';
      case 'hold':
        await this.#beginHold();
        return 'done';
      case 'drain': {
        const { reached, proxies } = await fleet.wait(this.#epoch, 'drained', drainBudgetMs);
        this.undrained = reached ? [] : proxies.flatMap(({ undrained }) => undrained);
        this.silentProxies = proxies.filter(({ epoch }) => epoch < this.#epoch).length;
        return reached ? 'done' : 'undrained';
      }
      case 'close_sessions':
        await fleet.closeSessions(this.undrained.map(({ sessionId }) => sessionId));
        return 'done';
      case 'retreat':
        this.#world.log('warn', `sessions did not reach the end of their transaction within ${drainBudgetMs} ms`, {
          attempt,
          undrained: this.undrainedNames(),
        });
        await this.#change(RELEASED);
        return 'done';
      case 'back_off':
        await systemClock.sleep(500 * attempt, this.#world.signal);
        return 'done';
      case 'seal':
        await this.#change({ fenced: true });
        return 'done';
      case 'confirm': {
        const { reached } = await fleet.wait(this.#epoch, 'drained', CONFIRM_MS);
        if (!reached) throw new AppError('SWITCH_ROLLED_BACK', 'a proxy did not confirm the hold in time');
        return 'done';
      }
      case 'fence':
        await this.#raiseFence();
        return 'done';
      case 'position':
        this.#position = await executedPosition(this.#open.from, flavorOf(record.document, this.#from));
        return 'done';
      case 'catch_up':
        await this.#catchUp();
        return 'done';
      case 'stop_stream':
        await streams.stopReplicationTo(to);
        await this.#endSettled();
        await this.#refuseLanesAhead();
        await this.#createTriggers();
        return 'done';
      case 'reverse':
        await this.#noteReverse();
        return 'done';
      case 'check':
        await this.#checkFence();
        return 'done';
      case 'decide':
        await this.#decide();
        return 'done';
      case 'settle': {
        const found = await route.of(record.document.id);
        this.#epoch = found.epoch;
        this.#hold = found.hold;
        return isDecided(found, this.#intent) ? 'decided' : 'undecided';
      }
      case 'claim':
        await this.#change({});
        return 'done';
      case 'end_statements':
        await this.#trying(() => this.#endStatements());
        return 'done';
      case 'lower_fence':
        await this.#trying(() => this.#lower(this.#from, this.#intent.fence, this.#intent.fencedAccounts));
        return 'done';
      case 'restart_stream':
        if (kind === 'primaries' && to === 'target') streams.followSource();
        else if (kind === 'primaries') streams.startReplicationTo(to);
        return 'done';
      case 'release':
      case 'go':
        if (this.#hold !== 'none') await this.#change(RELEASED);
        return 'done';
      case 'clear_intent':
        await this.#clearIntent();
        return 'done';
      case 'open': {
        const { fence } = record.document;
        await this.#trying(async () => {
          if (fence?.side === to) await this.#lower(to, fence.kind, fence.accounts);
        });
        return 'done';
      }
      case 'announce':
        await fleet.wait(this.#epoch, 'applied', ANNOUNCE_MS);
        return 'done';
      case 'finish':
        await this.#finish();
        return 'done';
      case 'switched':
      case 'undone':
        throw new Error(`${step} is an end`);
      default:
        throw new Error(`unknown step ${String(step satisfies never)}`);
    }
  }

  get drainBudgetMs(): number {
    return this.#budgets.drainBudgetMs;
  }

  /** As far as is known. */
  get isHeld(): boolean {
    return this.#hold !== 'none';
  }

  undrainedNames(): string[] {
    return this.undrained
      .slice(0, 10)
      .map(({ user, address, reasons }) => `${user} from ${address} (${reasons.join(', ')})`);
  }

  get #open(): SwitchConnections {
    if (this.#connections === undefined) throw new Error('a recovery does not go forward');
    return this.#connections;
  }

  async #change(change: Partial<Omit<RoutingRecord, 'epoch'>>): Promise<void> {
    const { epoch, hold } = await this.#world.route.change(this.#epoch, change);
    this.#epoch = epoch;
    this.#hold = hold;
  }

  /**
   * The stray watch takes over from the progress row, which therefore must say exactly what was applied. A connection that
   * was lost in the middle of a window may have left lanes ahead of it.
   */
  async #refuseLanesAhead(): Promise<void> {
    const { document } = this.#world.record;
    const row = new ProgressRow(document.id, this.#intent.to === 'target' ? 'forward' : 'reverse');
    const position = await row.read(this.#open.to);
    if (position === undefined) return;
    const flavor = flavorOf(document, this.#from);
    const lanes = await row.lanePositions(this.#open.to);
    if (lanesAhead(flavor, parsePosition(flavor, position), lanes).length === 0) return;
    throw new AppError('SWITCH_ROLLED_BACK', 'the stream was cut off while it caught up, and has to catch up again');
  }

  async #storeIntent(): Promise<void> {
    const { record } = this.#world;
    const { kind, fence } = this.#intent;
    const event = kind === 'primaries' ? 'start_switch_primaries' : 'start_switch_replicas';
    const phase = nextPhase(record.document.phase, event);
    await record.update(() => ({ intent: this.#intent, phase }));
    if (kind === 'replicas') return;
    // Says nothing to the running server. One that is restarted in the middle of the switch comes back fenced.
    if (fence === 'read_only') await persistFence(fence, this.#context(this.#from, this.#open.from), true);
  }

  async #beginHold(): Promise<void> {
    const { record, route } = this.#world;
    const { pauseDeadlineMs, drainBudgetMs } = this.#budgets;
    const hold = holdDuring(record.document, this.#intent, await route.of(record.document.id));
    const pauseMs = Math.max(pauseDeadlineMs, drainBudgetMs);
    this.heldAtMs = systemClock.monotonicMs();
    this.deadlineAtMs = this.heldAtMs + pauseMs;
    this.heldFromMs = Date.now();
    await this.#change({ hold, deadlineMs: this.heldFromMs + pauseMs, fenced: false });
  }

  async #raiseFence(): Promise<void> {
    const { fence, fencedAccounts } = this.#intent;
    // Proxies have confirmed that they keep still, and may have to give their sessions back on a rollback.
    const spared = fence === 'accounts' ? await proxiedIds(this.#world, this.#intent) : new Set<number>();
    const { fencing, beside } = this.#open;
    const context = this.#context(this.#from, fencing);
    this.#fencedTables = context.tables;
    await raiseFence(fence, { ...context, beside, accounts: fencedAccounts, spared });
  }

  async #catchUp(): Promise<void> {
    const { to } = this.#intent;
    const stream = this.#world.streams.replicationTo(to);
    if (stream === undefined || this.#position === undefined)
      throw new AppError('SWITCH_ROLLED_BACK', `replication to the ${to} is not running`);
    // At once: the connection has nothing else to do meanwhile, and the pause does not grow by the question.
    await Promise.all([stream.waitFor(this.#position, this.#world.signal), this.#refusePrepared()]);
    await this.#definitions?.renew();
    await this.#world.verification.confirm(this.#verifyBudgetMs());
    if (this.#intent.kind === 'replicas' || to === 'source') return;
    const { from: source, to: target } = this.#open;
    this.#settledAt = await settleWriteBack(this.#world, {
      source,
      target,
      deadlineAtMs: this.deadlineAtMs ?? systemClock.monotonicMs(),
    });
    this.#writtenAtSettling = this.#world.streams.writeBackTally.all;
  }

  /** One that was prepared since the preflight; its session may have ended, so that no proxy knows of it. */
  async #refusePrepared(): Promise<void> {
    if (this.#intent.kind === 'replicas') return;
    const { document } = this.#world.record;
    const sides = sidesWithoutPrepared(document, this.#intent.to);
    const asked = sides.map((side) => refusalOfPrepared(side === this.#from ? this.#open.from : this.#open.to, side));
    const refusal = (await Promise.all(asked)).find((one) => one !== undefined);
    if (refusal === undefined) return;
    throw new AppError('SWITCH_ROLLED_BACK', refusal.message, { details: { because: refusal.code } });
  }

  /** Of the pause; the rest of it is left for the steps behind. */
  #verifyBudgetMs(): number {
    const nowMs = systemClock.monotonicMs();
    const leftMs = (this.deadlineAtMs ?? nowMs) - nowMs;
    return Math.max(1, Math.min(VERIFY_MS_MAX, leftMs / 2));
  }

  /** Rows that got past the fence and came to the target behind the end of the write-back: see `settleWriteBack`. */
  async #endSettled(): Promise<void> {
    if (this.#settledAt === undefined) return;
    if (this.#world.streams.writeBackTally.all !== this.#writtenAtSettling)
      throw new AppError(
        'SWITCH_ROLLED_BACK',
        'the source was written to past its fence while the write-back was ended',
      );
    await keepForwardPosition(this.#world, this.#open.to, this.#settledAt);
  }

  /** Nothing is applied there any more, and no application writes yet. An undone switch takes them away as the stream begins. */
  async #createTriggers(): Promise<void> {
    const { document } = this.#world.record;
    await createTriggers(objectPlace(document, this.#open.to), document.activeObjects);
  }

  /** R, once nothing follows into the new primary any more. */
  async #noteReverse(): Promise<void> {
    const { record } = this.#world;
    const { from, to } = this.#open;
    if (!hasStreamBack(record.document, this.#intent.to)) return;
    // The write-back has ended where the reverse stream goes on.
    if (this.#intent.to === 'target' && record.document.options.reverse === 'always') return;
    const position = await executedPosition(to, flavorOf(record.document, this.#intent.to));
    // Behind the watch's own place there may be stray writes that nobody has seen yet: R would jump over them.
    if (this.#from === 'target') await noteStrayEnd(from, record.document.id, position.toString());
    else await new ProgressRow(record.document.id, 'reverse').reset(from, position.toString());
  }

  /** On the connection that raised it: it lives, so the server was not restarted since. */
  async #checkFence(): Promise<void> {
    const { fence, fencedAccounts } = this.#intent;
    const { fencing, beside } = this.#open;
    const context = { ...this.#context(this.#from, fencing), beside, accounts: fencedAccounts };
    // DDL that has been replicated since it went up has made tables of which it did not know.
    if (fence === 'triggers' && context.tables !== this.#fencedTables) await putBackFence(fence, context);
    if (fence !== 'none' && fence !== 'triggers' && !(await isFenceStanding(fence, context)))
      throw new AppError('FENCE_FAILED', `the fence (${fence}) on the ${this.#from} is gone again`);
    await fencing.write('DO 1');
  }

  async #decide(): Promise<void> {
    const { record } = this.#world;
    const { kind, to } = this.#intent;
    const replica = replicaSideAfter(record.document, this.#intent);
    const sides = kind === 'primaries' ? { primary: to, replica } : { replica: to };
    const isFormerFenced = kind === 'primaries' && record.document.fence?.side === to;
    await this.#change(isFormerFenced ? { ...sides, deadlineMs: null } : { ...sides, ...RELEASED });
  }

  async #endStatements(): Promise<void> {
    const { threads } = this.#intent;
    if (this.#connections !== undefined)
      for (const connection of Object.values(this.#connections).flat()) connection.destroy();
    // One server that does not answer is no reason to leave what waits on the other.
    const ends = await Promise.allSettled(
      SIDES.map((side) => this.#briefly(side, (connection) => endStatements(connection, threads[side]))),
    );
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  async #lower(side: Side, kind: SwitchIntent['fence'], accounts: SwitchIntent['fencedAccounts']): Promise<void> {
    if (kind === 'none' || this.#intent.kind === 'replicas') return;
    const lower = async (connection: ServerConnection, beside: readonly ServerConnection[] = []) =>
      await lowerFence(kind, { ...this.#context(side, connection), beside, accounts });
    if (kind !== 'triggers') return await this.#briefly(side, lower);
    // Of hundreds of tables it takes more than a moment: as long as the server answers, since their writes are refused until then.
    const patience = { connectTimeoutMs: UNDO_CONNECT_MS, silenceMs: UNDO_SILENCE_MS };
    await using stack = new AsyncDisposableStack();
    const connection = stack.use(await this.#world.connect(side, patience));
    await lower(connection, await connectBeside(this.#world, side, { kind, stack, options: patience }));
  }

  async #clearIntent(): Promise<void> {
    const { record } = this.#world;
    const { fence, fencedAccounts, fromPhase, threads } = this.#intent;
    if (fence === 'read_only') {
      // A server that is away comes back with it, and may be away for long: what is noted is taken away then.
      await this.#trying(() =>
        this.#briefly(this.#from, (connection) => forgetFence(fence, this.#context(this.#from, connection))),
      ).catch((error: unknown) =>
        this.#world.log('warn', `the ${this.#from} may come back read_only: ${(error as Error).message}`),
      );
    }
    await record.update(({ verify }) => ({
      phase:
        fromPhase === 'verified_data' && verify?.state !== 'equal' ? nextPhase(fromPhase, 'unverified') : fromPhase,
      intent: null,
      ...(this.#isUnsure && fence !== 'none'
        ? { leftFence: { side: this.#from, kind: fence, accounts: fencedAccounts, threads: threads[this.#from] } }
        : {}),
    }));
  }

  /** The old primary is fenced, the new one free, the stream of the other direction runs. */
  async #finish(): Promise<void> {
    const { record, streams } = this.#world;
    const { kind, to } = this.#intent;
    await this.#connections?.fencing.close();
    if (kind === 'primaries') {
      await streams.stopReplicationTo(to);
      await this.#world.verification.moved(to);
      await this.#moveEvents();
      if (to === 'target') {
        await streams.stopWriteBack();
        streams.startReplicationTo('source');
      } else {
        streams.followSource();
      }
    }
    // Before the intent is gone: a crash in between writes it again, and until then the intent explains it.
    const change = this.#changeAtEnd();
    await this.#world.marker.write({ ...record.document, ...change });
    await record.update(() => change);
    await this.#world.verification.settlePhase();
  }

  #changeAtEnd(): Partial<ImportDocument> {
    const { document } = this.#world.record;
    const { switchId, kind, to, fence, forced } = this.#intent;
    const former = document.fence?.side === to ? document.fence : null;
    // `read_only` is persisted: until that is forgotten, behind the pause, the new primary may come back with it.
    const isLeft = former !== null && (this.#isUnsure || former.kind === 'read_only');
    return {
      phase: phaseAfter(document, this.#intent),
      intent: null,
      decisions: [...document.decisions, { id: switchId, epoch: this.#epoch, isFormer: false }],
      replicasOnTarget: kind === 'replicas' ? to === 'target' : document.replicasOnTarget,
      fence: standingAfter(document, this.#intent),
      eventsLeft: kind === 'primaries' ? [...this.#eventsLeft] : document.eventsLeft,
      ...(isLeft ? { leftFence: { ...former, threads: [] } } : {}),
      switches: [
        ...document.switches,
        {
          kind,
          to,
          atMs: Date.now(),
          pauseMs: this.heldAtMs === undefined ? 0 : systemClock.monotonicMs() - this.heldAtMs,
          fence: kind === 'primaries' ? fence : 'none',
          forced,
        },
      ],
    };
  }

  /** Behind the decision. Until then an event of the old primary that gets past the fence is a stray write. */
  async #moveEvents(): Promise<void> {
    const { record } = this.#world;
    const { activeObjects } = record.document;
    if (activeObjects.events.length === 0) return;
    const moves = [
      [this.#from, disableEvents, 'stay enabled'],
      [this.#intent.to, enableEvents, 'are not enabled'],
    ] as const;
    for (const [side, move, consequence] of moves) {
      try {
        await this.#briefly(side, (connection) => move(objectPlace(record.document, connection), activeObjects));
        this.#eventsLeft.delete(side);
      } catch (error) {
        this.#eventsLeft.add(side);
        this.#world.log('error', `events ${consequence} on the ${side} for now: ${(error as Error).message}`);
      }
    }
  }

  /**
   * A server that cannot be reached keeps nobody waiting: a fence that stays costs errors on writes, holding on would
   * cost all traffic, and neither loses a write. The fence watch goes on trying.
   */
  async #trying(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#isUnsure = true;
      throw error;
    }
  }

  async #briefly(side: Side, work: (connection: ServerConnection) => Promise<void>): Promise<void> {
    const open = () => this.#world.connect(side, { connectTimeoutMs: UNDO_CONNECT_MS });
    // Behind the decision the connection of the way there is as good, and need not be opened in the pause.
    const lent = side === this.#intent.to ? this.#connections?.to : undefined;
    await briefly({ name: `the ${side}`, limitMs: UNDO_MS, open, lent }, work);
  }

  #context(side: Side, connection: ServerConnection) {
    return fenceContext(this.#world.record.document, side, connection);
  }
}
