import { setTimeout as delay } from 'node:timers/promises';
import { abortable, childController } from '../../core/abort.ts';
import { Backoff } from '../../core/backoff.ts';
import { AppError } from '../../core/errors.ts';
import { SIDES, type Side } from '../../core/phase.ts';
import type { ImportDocument } from '../import-document.ts';
import type { ImportWorld } from '../import-world.ts';
import { isFinal } from '../phase.ts';
import type { ServerConnection } from '../server/connection.ts';
import { describeMarkers, unknownMarkers, type Markers } from './judge-markers.ts';
import { markerOf, readMarkers, writeMarker, type RouteMarker } from './route-marker.ts';

const CONNECT_MS = 2000;
/** Reading or writing, with the connection that it takes: nobody waits longer for a server that has stopped answering. */
const SIDE_MS = 3000;
/** At a start traffic waits for the answer: so long for a server that is slow, stalled or just starting, too. */
const START_MS = 8000;
const START_PAUSE_MS = 200;

/**
 * Asks the servers whether the stored state knows the last decision about traffic, and tells them of it. A server that was
 * away is asked as soon as it answers, before anything of ours begins there (`settled`).
 */
export class MarkerKeeper {
  readonly #world: ImportWorld;
  readonly #onOutdated: (error: AppError) => void;
  /** Asked since this engine came to have to do with them. */
  readonly #asked = new Set<Side>();
  /** Last told of which decision. */
  readonly #told = new Map<Side, string>();
  #writing: Promise<void> = Promise.resolve();
  #wake = Promise.withResolvers<void>();
  #running: { controller: AbortController; done: Promise<void> } | undefined;

  /** `onOutdated` hears what `settled` and the keeper itself find, not what `outdated` answers. */
  constructor(world: ImportWorld, onOutdated: (error: AppError) => void) {
    this.#world = world;
    this.#onOutdated = onOutdated;
  }

  /** What both servers tell now. */
  async read(): Promise<Markers> {
    const [source, target] = await Promise.all(SIDES.map((side) => this.#read(side).catch(() => null)));
    return { source: source ?? null, target: target ?? null };
  }

  /** Asks the servers that answer: STATE_OUTDATED, or undefined. */
  async outdated(): Promise<AppError | undefined> {
    if (!this.#world.hasCredentials || isFinal(this.#world.record.document.phase)) return undefined;
    return await this.#judge(await this.read());
  }

  /**
   * As `outdated`, while traffic waits: a server that does not answer is asked again for a while, since what it alone was told
   * would be missed. Then it counts as away.
   */
  async outdatedAtStart(): Promise<AppError | undefined> {
    const deadline = AbortSignal.any([this.#world.signal, AbortSignal.timeout(START_MS)]);
    for (let isFirst = true; ; isFirst = false) {
      const outdated = await this.outdated();
      const silent = this.#world.hasCredentials ? SIDES.filter((side) => !this.#asked.has(side)) : [];
      if (outdated !== undefined || silent.length === 0) return outdated;
      const names = silent.join(' and the ');
      if (deadline.aborted) {
        this.#world.log('warn', `the ${names} did not say where traffic belongs: it goes where the state says`);
        return undefined;
      }
      if (isFirst) this.#world.log('warn', `traffic waits for the ${names} to say where it belongs`);
      await delay(START_PAUSE_MS);
    }
  }

  /** Resolves when these servers have been asked. Rejects with STATE_OUTDATED, or with what keeps one from answering. */
  async settled(sides: readonly Side[] = SIDES): Promise<void> {
    for (const side of sides) {
      if (this.#asked.has(side)) continue;
      const markers: Markers = { source: null, target: null };
      markers[side] = await this.#read(side);
      const error = await this.#judge(markers);
      if (error === undefined) continue;
      this.#asked.delete(side);
      this.#onOutdated(error);
      throw error;
    }
  }

  /** As `settled`, whatever was heard before; what is found is told to the caller alone. */
  async settledAnew(): Promise<void> {
    const [source, target] = await Promise.all(SIDES.map((side) => this.#read(side)));
    const error = await this.#judge({ source: source ?? null, target: target ?? null });
    if (error !== undefined) throw error;
  }

  /** A connection was lost: who knows what comes back. */
  askAgain(): void {
    this.#asked.clear();
    this.poke();
  }

  /** Tells every server of the last decision of `document`. What fails is tried again; a switch does not wait for it. */
  async write(document: ImportDocument): Promise<void> {
    const { primary } = await this.#world.route.of(document.id);
    // First there where it is in force.
    for (const side of sidesOf(document).toSorted((a) => (a === primary ? -1 : 1)))
      await this.#world.tolerating(`the ${side} does not know of the switch yet`, () => this.#write(side, document));
  }

  start(): void {
    if (this.#running !== undefined) return;
    const controller = childController(this.#world.signal);
    this.#running = { controller, done: this.#run(controller.signal) };
  }

  /** Something may be to be told. */
  poke(): void {
    this.#wake.resolve();
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    running?.controller.abort();
    await running?.done;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff({ initialMs: 500, maxMs: 5000 });
    while (!signal.aborted) {
      this.#wake = Promise.withResolvers<void>();
      const isDone = await this.#round(signal);
      if (isDone) backoff.reset();
      const due = isDone ? this.#wake.promise : backoff.wait(signal);
      await abortable(due, signal).catch(() => {});
    }
  }

  /** True when there is nothing left to do. */
  async #round(signal: AbortSignal): Promise<boolean> {
    let isDone = true;
    for (const side of SIDES) {
      try {
        await this.settled([side]);
        const { document } = this.#world.record;
        if (signal.aborted || !isToTell(document)) continue;
        if (sidesOf(document).includes(side)) await this.#write(side, document);
      } catch {
        isDone = false;
      }
    }
    return isDone;
  }

  async #judge(markers: Markers): Promise<AppError | undefined> {
    const { record, route } = this.#world;
    const { document } = record;
    const current = await route.of(document.id);
    const unknown = unknownMarkers(document, current, markers);
    if (unknown.length === 0) return undefined;
    return new AppError('STATE_OUTDATED', describeMarkers(unknown, current));
  }

  async #read(side: Side): Promise<RouteMarker[]> {
    const markers = await this.#briefly(side, readMarkers);
    const { id, createdAtMs } = this.#world.record.document;
    const own = markers.find((marker) => marker.importId === id && marker.createdAtMs === createdAtMs);
    if (own === undefined) this.#told.delete(side);
    else this.#told.set(side, own.decision);
    this.#asked.add(side);
    return markers;
  }

  /** One after the other, so that an older one is not written over a newer one. */
  async #write(side: Side, document: ImportDocument): Promise<void> {
    const write = this.#writing.then(async () => {
      const marker = markerOf(document, await this.#world.route.of(document.id));
      if (this.#told.get(side) === marker.decision) return;
      await this.#briefly(side, (connection) => writeMarker(connection, marker));
      this.#told.set(side, marker.decision);
    });
    this.#writing = write.catch(() => {});
    await write;
  }

  async #briefly<T>(side: Side, work: (connection: ServerConnection) => Promise<T>): Promise<T> {
    const limit = AbortSignal.timeout(SIDE_MS);
    const working = this.#world.connect(side, { connectTimeoutMs: CONNECT_MS }).then(async (connection) => {
      const destroy = () => connection.destroy();
      limit.addEventListener('abort', destroy, { once: true });
      try {
        await using used = connection;
        return await work(used);
      } finally {
        limit.removeEventListener('abort', destroy);
      }
    });
    working.catch(() => {});
    try {
      return await abortable(working, limit);
    } catch (cause) {
      if (!limit.aborted) throw cause;
      throw new AppError('SERVER_GONE', `the ${side} did not answer within ${SIDE_MS} ms`, { cause });
    }
  }
}

/** Before the copy is done there is nothing to be told, and within a switch nothing is settled. */
function isToTell({ phase, error, intent }: ImportDocument): boolean {
  const effective = error?.fromPhase ?? phase;
  const isBefore = effective === 'pending' || effective === 'copying';
  const isStopped = error?.code === 'STATE_OUTDATED' || error?.code === 'CANCEL_UNFINISHED';
  return intent === null && !isBefore && !isFinal(phase) && !isStopped;
}

/** The source is not written to before primary traffic leaves it, and never with `reverse: off`. */
function sidesOf({ switches, options }: ImportDocument): Side[] {
  const isSourceOurs = options.reverse !== 'off' && switches.some(({ kind }) => kind === 'primaries');
  return isSourceOurs ? ['source', 'target'] : ['target'];
}
