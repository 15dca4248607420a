import { abortable, childController } from '../../core/abort.ts';
import { Backoff } from '../../core/backoff.ts';
import { systemClock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { SIDES, type Side } from '../../core/phase.ts';
import { hasMovedPrimaries, type ImportDocument } from '../import-document.ts';
import type { ImportWorld } from '../import-world.ts';
import { isFinal } from '../phase.ts';
import { briefly } from '../server/briefly.ts';
import type { ServerConnection } from '../server/connection.ts';
import { describeMarkers, rivalMarker, unknownMarkers, type Markers } from './judge-markers.ts';
import { knownOutdated } from './known-outdated.ts';
import { markerOf, readMarkers, writeMarker, type RouteMarker } from './route-marker.ts';

const CONNECT_MS = 2000;
/** Reading or writing, with the connection that it takes: nobody waits longer for a server that has stopped answering. */
const SIDE_MS = 3000;
/** At a start traffic waits for the answer: so long for a server that is slow, stalled or just starting, too. */
const START_MS = 8000;
/**
 * For the second one from the answer of the first, where that has been told of every switch of primaries, and knows of none: mostly
 * nothing hangs on it. Not from the beginning: both may have waited for the same thing, and it is about to answer, too.
 */
const START_SECOND_MS = 1500;
const START_PAUSE_MS = 200;
/**
 * Another Switchyard with the same state may run beside this one and switch: no stream of ours needs to notice. Its proxies and ours
 * then differ for as long.
 */
const ASK_MS = 5000;

/** What servers tell against this import. */
interface Told {
  /** STATE_OUTDATED */
  outdated?: AppError;
  /** TARGET_SHARED */
  shared?: AppError;
}

/**
 * Asks the servers whether the stored state knows the last decision about traffic, and tells them of it. A server that was
 * away is asked as soon as it answers, before anything of ours begins there (`settled`); all are asked again and again.
 */
export class MarkerKeeper {
  readonly #world: ImportWorld;
  readonly #onFound: (error: AppError) => void;
  /** Asked since this engine came to have to do with them. */
  readonly #asked = new Set<Side>();
  /** Last told of which decision. */
  readonly #told = new Map<Side, string>();
  readonly #complaints = new Map<Side, string>();
  #writing: Promise<void> = Promise.resolve();
  #wake = Promise.withResolvers<void>();
  #running: { controller: AbortController; done: Promise<void> } | undefined;

  /** `onFound` hears what `settled` and the keeper itself find (STATE_OUTDATED, TARGET_SHARED), not what `told` answers. */
  constructor(world: ImportWorld, onFound: (error: AppError) => void) {
    this.#world = world;
    this.#onFound = onFound;
  }

  /** What both servers tell now. */
  async read(): Promise<Markers> {
    const [source, target] = await Promise.all(SIDES.map((side) => this.#read(side).catch(() => null)));
    return { source: source ?? null, target: target ?? null };
  }

  /** Asks the servers that answer: STATE_OUTDATED, or undefined. */
  async outdated(): Promise<AppError | undefined> {
    return (await this.told()).outdated;
  }

  /** Asks the servers that answer. */
  async told(): Promise<Told> {
    if (!this.#world.hasCredentials || isFinal(this.#world.record.document.phase)) return {};
    return await this.#judge(await this.read());
  }

  /**
   * As `outdated`, while traffic waits: a server that does not answer is asked again for a while, since what it alone was told
   * would be missed. Then it counts as away.
   */
  async outdatedAtStart(): Promise<AppError | undefined> {
    const { record, signal } = this.#world;
    if (!this.#world.hasCredentials || isFinal(record.document.phase)) return undefined;
    const markers: Markers = { source: null, target: null };
    const away = new Set<Side>(SIDES);
    const told = toldOfPrimaries(record.document);
    let untilMs = systemClock.monotonicMs() + START_MS;
    const heard = (side: Side, tells: RouteMarker[]) => {
      if (told.includes(side) && told.every((other) => markers[other] === null))
        untilMs = systemClock.monotonicMs() + START_SECOND_MS;
      markers[side] = tells;
      away.delete(side);
    };
    for (let isFirst = true; ; isFirst = false) {
      await Promise.all(
        Array.from(away, async (side) => {
          try {
            heard(side, await this.#read(side));
          } catch (error) {
            // A refused login will be refused again.
            if (!(error instanceof AppError) || error.entry.kind !== 'retryable') away.delete(side);
          }
        }),
      );
      const { outdated } = await this.#judge(markers);
      const silent = SIDES.filter((side) => markers[side] === null);
      if (outdated !== undefined || silent.length === 0) return outdated;
      const names = silent.join(' and the ');
      if (signal.aborted || systemClock.monotonicMs() > untilMs || away.size === 0) {
        this.#world.log('warn', `the ${names} did not say where traffic belongs: it goes where the state says`);
        return undefined;
      }
      if (isFirst) this.#world.log('warn', `traffic waits for the ${names} to say where it belongs`);
      await systemClock.sleep(START_PAUSE_MS);
    }
  }

  /** Resolves when these servers have been asked. Rejects with STATE_OUTDATED, TARGET_SHARED, or with what keeps one from answering. */
  async settled(sides: readonly Side[] = SIDES): Promise<void> {
    for (const side of sides) if (!this.#asked.has(side)) await this.#ask(side);
  }

  /** As `settled`, whatever was heard before; what is found is told to the caller alone. */
  async settledAnew(sides: readonly Side[] = SIDES): Promise<void> {
    const markers: Markers = { source: null, target: null };
    await Promise.all(sides.map(async (side) => (markers[side] = await this.#read(side))));
    const { outdated } = await this.#judge(markers);
    if (outdated !== undefined) throw outdated;
  }

  /** As `settled`, asked over the connection that is about to be used. */
  async settledOn(side: Side, connection: ServerConnection): Promise<void> {
    await this.#heard(side, await readMarkers(connection));
  }

  /** A connection was lost: who knows what comes back. */
  askAgain(): void {
    this.#asked.clear();
    this.poke();
  }

  /** Tells every server of the last decision of `document`. What fails is tried again; a switch does not wait for it. */
  async write(document: ImportDocument): Promise<void> {
    const marker = markerOf(document, await this.#world.route.of(document.id));
    // First there where it is in force.
    for (const side of sidesOf(document).toSorted((a) => (a === marker.primary ? -1 : 1)))
      await this.#world.tolerating(`the ${side} does not know of the switch yet`, () => this.#write(side, marker));
  }

  /** That the import has ended on the target, of a `document` that says so: the last decision is the same. */
  async writeEnd(document: ImportDocument): Promise<void> {
    const marker = markerOf(document, await this.#world.route.of(document.id));
    await this.#briefly('target', (connection) => writeMarker(connection, marker));
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
    let isDone = await this.#round(signal, (side) => this.settled([side]));
    while (!signal.aborted) {
      if (isDone) backoff.reset();
      await (isDone ? this.#untilDue(signal) : backoff.wait(signal)).catch(() => {});
      this.#wake = Promise.withResolvers<void>();
      // Within a switch a server has other things to do.
      const isSwitching = this.#world.record.document.intent !== null;
      isDone = await this.#round(signal, (side) => (isSwitching ? this.settled([side]) : this.#ask(side)));
    }
  }

  async #untilDue(signal: AbortSignal): Promise<void> {
    const sleeping = childController(signal);
    try {
      await Promise.race([abortable(this.#wake.promise, sleeping.signal), systemClock.sleep(ASK_MS, sleeping.signal)]);
    } finally {
      sleeping.abort();
    }
  }

  /** True when there is nothing left to do. */
  async #round(signal: AbortSignal, ask: (side: Side) => Promise<void>): Promise<boolean> {
    let isDone = true;
    for (const side of SIDES) {
      if (signal.aborted) return true;
      try {
        await ask(side);
        const { document } = this.#world.record;
        if (signal.aborted || !isToTell(document) || !sidesOf(document).includes(side)) continue;
        const marker = markerOf(document, await this.#world.route.of(document.id));
        // A switch that began meanwhile tells of itself: that route is not the one of this document.
        if (this.#world.record.document === document) await this.#tell(side, marker);
        else isDone = false;
      } catch {
        isDone = false;
      }
    }
    return isDone;
  }

  /** What keeps a server from being told is said once, not at every attempt: it answers, so nothing else would say it. */
  async #tell(side: Side, marker: RouteMarker): Promise<void> {
    try {
      await this.#write(side, marker);
      this.#complaints.delete(side);
    } catch (error) {
      const { message } = error as Error;
      if (this.#complaints.get(side) !== message)
        this.#world.log('warn', `the ${side} cannot be told of the last switch: ${message}`);
      this.#complaints.set(side, message);
      throw error;
    }
  }

  async #ask(side: Side): Promise<void> {
    await this.#heard(side, await this.#read(side));
  }

  async #heard(side: Side, told: RouteMarker[]): Promise<void> {
    const { outdated, shared } = await this.#judge({ source: null, target: null, [side]: told });
    const error = outdated ?? shared;
    if (error === undefined) return;
    this.#asked.delete(side);
    this.#onFound(error);
    throw error;
  }

  async #judge(markers: Markers): Promise<Told> {
    const { record, route } = this.#world;
    const { document } = record;
    const current = await route.of(document.id);
    const told: Told = {};
    const unknown = unknownMarkers(document, current, markers);
    if (unknown.length > 0) told.outdated = new AppError('STATE_OUTDATED', describeMarkers(unknown, current));
    const rival = rivalMarker(document, current, markers);
    if (rival !== undefined)
      told.shared = new AppError(
        'TARGET_SHARED',
        `the import ${rival.importId}, created at ${new Date(rival.createdAtMs).toISOString()}, fills tables of ${document.database} on the target that this one fills, too`,
      );
    return told;
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
  async #write(side: Side, marker: RouteMarker): Promise<void> {
    const write = this.#writing.then(async () => {
      if (this.#told.get(side) === marker.decision) return;
      await this.#briefly(side, (connection) => writeMarker(connection, marker));
      this.#told.set(side, marker.decision);
    });
    this.#writing = write.catch(() => {});
    await write;
  }

  async #briefly<T>(side: Side, work: (connection: ServerConnection) => Promise<T>): Promise<T> {
    const open = () => this.#world.connect(side, { connectTimeoutMs: CONNECT_MS });
    return await briefly({ name: `the ${side}`, limitMs: SIDE_MS, open }, work);
  }
}

/** Before the copy is done there is nothing to be told, and within a switch nothing is settled. */
function isToTell({ phase, error, intent }: ImportDocument): boolean {
  const effective = error?.fromPhase ?? phase;
  const isBefore = effective === 'pending' || effective === 'copying';
  const isStopped = error?.code === 'CANCEL_UNFINISHED' || knownOutdated({ error }) !== null;
  return intent === null && !isBefore && !isFinal(phase) && !isStopped;
}

/** The source is not written to before primary traffic leaves it, and never with `reverse: off`. */
function sidesOf(document: ImportDocument): Side[] {
  return hasMovedPrimaries(document) ? toldOfPrimaries(document) : ['target'];
}

/** Who is told of a switch of primaries, as far as it answers then. */
function toldOfPrimaries({ options }: Pick<ImportDocument, 'options'>): Side[] {
  return options.reverse === 'off' ? ['target'] : ['source', 'target'];
}
