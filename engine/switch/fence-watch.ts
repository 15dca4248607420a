import { childController } from '../../core/abort.ts';
import { systemClock, type Clock } from '../../core/clock.ts';
import { SIDES, type Side } from '../../core/phase.ts';
import { errnoOf, type ServerConnection } from '../server/connection.ts';
import { endStatements } from './end-statements.ts';
import {
  forgetFence,
  isFenceStanding,
  LOCK_WAIT_TIMEOUT,
  persistFence,
  putBackFence,
  type FenceContext,
  type FenceKind,
} from './fence.ts';
import { moveLeftEvents } from './left-events.ts';
import { fenceContext, type SwitchWorld } from './switch-world.ts';

const CHECK_MS = 2000;
/** While the server is away: it must not be back for long without its fence. */
const RECONNECT_MS = 250;
/** A fence that is being put back is let finish. */
const STOP_MS = 3000;

/**
 * Guards the fence of the old primary after a switch, and takes away what a switch could not. Not every fence survives a restart of its server (MariaDB has no
 * SET PERSIST, table definitions can be restored, an account unlocked): what is gone is put back, and said. Must be
 * stopped before a switch begins, which takes fences away on purpose.
 */
export class FenceWatch {
  readonly #world: SwitchWorld;
  readonly #clock: Clock;
  readonly #controller: AbortController;
  readonly #done: Promise<void>;
  #connection: ServerConnection | undefined;
  #persisted = false;
  /** Said once, not at every attempt. */
  #complaint: string | undefined;
  readonly #eventsComplaints = new Map<Side, string>();
  #wake = Promise.withResolvers<void>();

  constructor(world: SwitchWorld, signal: AbortSignal, clock: Clock = systemClock) {
    this.#world = world;
    this.#clock = clock;
    this.#controller = childController(signal);
    this.#done = this.#run(this.#controller.signal);
  }

  /** Looks now: something happened to the connections to that server. */
  poke(): void {
    this.#wake.resolve();
  }

  /** Resolves when no check is under way and none will follow. A server that does not answer is not waited for long. */
  async stop(): Promise<void> {
    this.#controller.abort();
    this.#wake.resolve();
    const timer = setTimeout(() => this.#drop(), STOP_MS);
    await this.#done;
    clearTimeout(timer);
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const waitMs = await this.#check().then(
        () => CHECK_MS,
        // It answers: a table of it is held, and whoever reads that one waits behind us.
        (error: unknown) => (errnoOf(error) === LOCK_WAIT_TIMEOUT ? CHECK_MS : RECONNECT_MS),
      );
      if (signal.aborted) break;
      this.#wake = Promise.withResolvers<void>();
      await Promise.race([this.#wake.promise, this.#clock.sleep(waitMs, signal)]).catch(() => {});
    }
    this.#drop();
  }

  /** Rejects when a server cannot be asked: then soon again. */
  async #check(): Promise<void> {
    const [standing, left] = await Promise.allSettled([
      this.#checkStanding(),
      this.#removeLeft(),
      ...SIDES.map((side) => this.#moveEvents(side)),
    ]);
    if (standing.status === 'rejected') this.#drop();
    for (const result of [standing, left]) if (result.status === 'rejected') throw result.reason;
  }

  async #removeLeft(): Promise<void> {
    const { leftFence } = this.#world.record.document;
    if (leftFence === null) return;
    await this.#world.marker.settled([leftFence.side]);
    // Nobody waits for it: every table that is free goes.
    await removeLeftFence(this.#world, { heldMax: Infinity, signal: this.#controller.signal });
  }

  /** With the other checks, or as soon as a server is back: what the server refuses is not asked of it all the time. */
  async #moveEvents(side: Side): Promise<void> {
    if (!this.#world.record.document.eventsLeft.includes(side)) return;
    try {
      await this.#world.marker.settled([side]);
      await moveLeftEvents(this.#world, side);
    } catch (error) {
      const { message } = error as Error;
      if (this.#eventsComplaints.get(side) !== message)
        this.#world.log('warn', `events on the ${side} are still as they were before the switch: ${message}`);
      this.#eventsComplaints.set(side, message);
    }
  }

  async #checkStanding(): Promise<void> {
    const { document } = this.#world.record;
    const { fence } = document;
    if (fence === null) return;
    // What stands there may be the fence of a switch that this state does not know.
    await this.#world.marker.settled([fence.side]);
    this.#connection ??= await this.#world.connect(fence.side);
    const context = { ...fenceContext(document, fence.side, this.#connection), accounts: fence.accounts };
    if (!(await isFenceStanding(fence.kind, context))) {
      if (this.#controller.signal.aborted) return;
      await this.#putBack(fence.kind, context);
      this.#world.log(
        'error',
        `the fence (${fence.kind}) on the ${fence.side} was gone and is put back: writes that bypass the proxy may have got in`,
      );
    }
    if (this.#persisted) return;
    this.#persisted = true;
    if (await persistFence(fence.kind, context, true)) return;
    this.#world.log(
      'warn',
      `the fence on the ${fence.side} does not survive a restart of that server by itself: it is put back when that is noticed`,
    );
  }

  async #putBack(kind: FenceKind, context: FenceContext): Promise<void> {
    try {
      await putBackFence(kind, context);
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#complaint)
        this.#world.log('error', `the fence (${kind}) is gone and could not be put back: ${message}`);
      this.#complaint = message;
      throw error;
    }
    this.#complaint = undefined;
  }

  #drop(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
  }
}

/** Takes away a fence that should be gone, where one is noted. Rejects when its server cannot be asked. */
export async function removeLeftFence(
  { record, connect, log }: Pick<SwitchWorld, 'record' | 'connect' | 'log'>,
  more: Pick<FenceContext, 'heldMax' | 'signal'> = {},
): Promise<void> {
  const { leftFence } = record.document;
  if (leftFence === null) return;
  const { side, kind, accounts, threads } = leftFence;
  await using connection = await connect(side);
  await endStatements(connection, threads);
  const context = { ...fenceContext(record.document, side, connection), accounts, ...more };
  await forgetFence(kind, context);
  await record.update(() => ({ leftFence: null }));
  log('info', `the fence (${kind}) that was left on the ${side} is taken away`);
}
