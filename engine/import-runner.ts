import { isAbort } from '../core/abort.ts';
import { AppError, serializeError } from '../core/errors.ts';
import { RELEASED } from '../core/routing-record.ts';
import { failpoint } from '../core/failpoint.ts';
import type { ImportView } from './api.ts';
import { ImportPhases } from './import-phases.ts';
import { ImportRequests } from './import-requests.ts';
import { ImportStreams } from './import-streams.ts';
import { ImportVerification } from './verification/import-verification.ts';
import { importView } from './import-view.ts';
import { ImportWorld, type ImportWorldOptions } from './import-world.ts';
import { adoptMarker, holdOutdated } from './marker/adopt-marker.ts';
import { knownOutdated } from './marker/known-outdated.ts';
import { MarkerKeeper } from './marker/marker-keeper.ts';
import { isFinal } from './phase.ts';
import { FenceWatch, removeLeftFence } from './switch/fence-watch.ts';
import type { SwitchWorld } from './switch/switch-world.ts';
import { TrafficSwitch } from './switch/traffic-switch.ts';

interface HeldBackFailure {
  error: unknown;
  /** See `StreamEvents.onFailed`. */
  isWanted: () => boolean;
}

/**
 * The life of one import: brings it to where its phase says it is after a start, stops it with a reason when something
 * fails, and lets one request at a time change it. Phases change only through `nextPhase`, and are stored before their
 * effect begins.
 */
export class ImportRunner {
  readonly world: ImportWorld;
  readonly streams: ImportStreams;
  readonly phases: ImportPhases;
  readonly verification: ImportVerification;
  readonly requests: ImportRequests;
  readonly marker: MarkerKeeper;
  readonly switchWorld: SwitchWorld;
  #exclusive: string | undefined;
  #fenceWatch: FenceWatch | undefined;
  readonly #heldBack: HeldBackFailure[] = [];
  /** While it stops with an error: whatever is asked meanwhile finds it stopped. */
  #entering: Promise<void> | undefined;

  constructor(options: ImportWorldOptions) {
    const onFailed = (error: unknown, isWanted?: () => boolean) => this.#fail(error, isWanted);
    this.world = new ImportWorld(options, () => this.view());
    this.marker = new MarkerKeeper(this.world, onFailed);
    const mayBegin = () => this.marker.settled();
    this.streams = new ImportStreams(this.world, {
      mayBegin,
      onFailed,
      onDiverged: (reason) => this.verification.diverged(reason),
      onUnwatched: () => this.verification.unwatched(),
      onReconnect: () => {
        this.marker.askAgain();
        this.#fenceWatch?.poke();
      },
    });
    this.verification = new ImportVerification(this.world, this.streams);
    const { world, streams, verification } = this;
    const onCopied = () => this.marker.poke();
    this.phases = new ImportPhases({ world, streams, verification, onFailed, mayBegin, onCopied });
    this.switchWorld = {
      record: world.record,
      route: world.route,
      fleet: world.fleet,
      streams,
      verification: verification.atSwitch,
      marker: this.marker,
      signal: world.signal,
      connect: (side, options) => world.connect(side, options),
      log: (level, message, details) => world.log(level, message, details),
    };
    this.requests = new ImportRequests(this);
  }

  /**
   * Whether the servers that answer know more than the stored state does: traffic is held then, and `start` begins nothing. The
   * others are asked once they answer; for a while it is waited for that, unless traffic does not wait (`isServed`).
   */
  async check({ isServed }: { isServed: boolean }): Promise<void> {
    const { record, route } = this.world;
    const { document } = record;
    if (isFinal(document.phase)) return;
    if ((await route.read())?.importId !== document.id) await route.begin(document);
    const outdated = await (isServed ? this.marker.outdated() : this.marker.outdatedAtStart());
    if (outdated !== undefined) await this.enterOutdated(outdated);
    else if (this.isOutdated) await holdOutdated(this.world);
  }

  /** Goes on where the stored phase says. Called after each start of the engine, and by `resume`; behind `check`. */
  async start(): Promise<void> {
    const { document } = this.world.record;
    if (isFinal(document.phase)) {
      await this.world.eraseSecrets();
      return;
    }
    if (this.isOutdated) return;
    const { intent } = document;
    if (intent !== null) await this.recoverSwitch();
    this.phases.goOn();
    this.watchFence();
    this.marker.start();
    this.world.changed();
  }

  get isOutdated(): boolean {
    return knownOutdated(this.world.record.document) !== null;
  }

  /** Fails closed: what the state says about primary, fence and streams may be the opposite of what is so. */
  async enterOutdated(outdated: AppError): Promise<void> {
    // Noted first: an engine that dies in between holds again as it starts, whoever answers then. A hold without a note is a leftover.
    try {
      await this.#noteOutdated(outdated);
      await failpoint('marker.noted');
    } finally {
      await holdOutdated(this.world);
    }
    await Promise.all([this.phases.stop(), this.stopFenceWatch(), this.marker.stop(), this.streams.stop()]);
  }

  async #noteOutdated({ code, message, details }: AppError): Promise<void> {
    const { record } = this.world;
    const { phase, error } = record.document;
    if (isFinal(phase) || this.isOutdated) return;
    const fromPhase = error?.fromPhase ?? phase;
    // What is half removed must not be resumed: that reason stays.
    const noted =
      error?.code === 'CANCEL_UNFINISHED'
        ? { ...error, details: { ...error.details, outdated: message } }
        : { code, message, details, fromPhase, atMs: Date.now() };
    await record.update(() => ({ phase: 'error', error: noted }));
    this.world.log('error', `${code}: ${message}`);
  }

  /** Brings the import to where the servers tell that traffic was sent, and goes on from there. */
  async adopt(): Promise<void> {
    await adoptMarker(this.world, await this.marker.read());
    await this.verification.forget('it is of the time before an old state was put back');
    await this.start();
    await this.release();
  }

  /** Ends a hold, on the side that the route names. */
  async release(): Promise<void> {
    const { route, record } = this.world;
    const { epoch, hold } = await route.of(record.document.id);
    if (hold !== 'none') await route.change(epoch, RELEASED);
  }

  /** Brings a switch to an end that was under way: finishes what was decided, undoes what was not. */
  async recoverSwitch(): Promise<void> {
    const { intent } = this.world.record.document;
    await this.stopFenceWatch();
    await TrafficSwitch.recover(this.switchWorld);
    if (intent?.kind === 'primaries') await this.removeLeftFence();
    this.watchFence();
  }

  /** What `exclusively` waits for; null when nothing runs. */
  get busyWith(): string | null {
    return this.#exclusive ?? null;
  }

  /** Ends everything that runs; the phase stays. */
  async stop(): Promise<void> {
    await this.phases.stop();
    await this.stopFenceWatch();
    await this.marker.stop();
    await this.streams.stop();
  }

  async view(): Promise<ImportView> {
    return importView(this.world.record.document, {
      tables: this.phases.tables,
      streams: this.streams.views(),
      verify: this.verification.view,
      strayWrites: this.streams.strayWrites(),
      conflicts: this.streams.conflicts(),
      route: await this.world.route.read(),
    });
  }

  /**
   * One at a time: OPERATION_IN_PROGRESS, naming what runs. With an outdated state only what ends that goes: `isRemedy`. Else both
   * servers are asked first, since another Switchyard may have switched in the meantime.
   */
  async exclusively<T>(what: string, work: () => Promise<T>, { isRemedy = false } = {}): Promise<T> {
    await this.#entering;
    if (this.#exclusive !== undefined) {
      throw new AppError(
        'OPERATION_IN_PROGRESS',
        `the ${this.#exclusive} of ${this.world.record.document.id} has not ended yet`,
      );
    }
    this.#exclusive = what;
    try {
      if (!isRemedy) await this.refuseOutdated();
      return await work();
    } finally {
      this.#exclusive = undefined;
      const failure = this.#heldBack.splice(0).find(({ isWanted }) => isWanted());
      if (failure !== undefined) this.#fail(failure.error);
      this.world.changed();
    }
  }

  /** What stands on the old primary is guarded, whatever else has stopped. */
  watchFence(): void {
    const { fence, leftFence, eventsLeft, intent, phase } = this.world.record.document;
    if ((fence === null && leftFence === null && eventsLeft.length === 0) || isFinal(phase) || this.isOutdated) return;
    // A switch that was given up behind its decision: what is noted as the old primary is the new one by now.
    if (intent !== null) return;
    this.#fenceWatch ??= new FenceWatch(this.switchWorld, this.world.signal);
  }

  async stopFenceWatch(): Promise<void> {
    const watch = this.#fenceWatch;
    this.#fenceWatch = undefined;
    await watch?.stop();
  }

  /** At once, since an operator may restart the server as soon as it is primary again; the fence watch goes on trying. */
  async removeLeftFence(): Promise<void> {
    await this.world.tolerating('a fence is still to be taken away', () => removeLeftFence(this.switchWorld));
  }

  /** Rejects with STATE_OUTDATED where the state is known to be, or a server that answers tells so now; or with TARGET_SHARED. */
  async refuseOutdated(): Promise<void> {
    const known = knownOutdated(this.world.record.document);
    if (known !== null) throw new AppError('STATE_OUTDATED', known);
    const { outdated, shared } = await this.marker.told();
    if (outdated !== undefined) {
      await this.enterOutdated(outdated);
      throw outdated;
    }
    if (shared !== undefined) throw shared;
  }

  /** Stops with a reason; traffic stays on the last committed route. During a request it waits for the request's end. */
  #fail(error: unknown, isWanted = () => true): void {
    if (this.world.signal.aborted || isAbort(error)) return;
    if (this.#exclusive !== undefined) {
      this.#heldBack.push({ error, isWanted });
      return;
    }
    this.#entering = this.#stopWith(error);
  }

  async #stopWith(error: unknown): Promise<void> {
    await this.#entering;
    await this.#enterError(error);
  }

  async #enterError(error: unknown): Promise<void> {
    const { record } = this.world;
    const { code, message, details } = serializeError(error);
    await failpoint('import.failed');
    // Another Switchyard may have the import, and have switched it.
    const outdated = code === 'STATE_OUTDATED' ? (error as AppError) : await this.marker.outdated();
    if (outdated !== undefined) {
      await this.enterOutdated(outdated);
      return;
    }
    // Told again and again.
    if (record.document.error?.code === code && code === 'TARGET_SHARED') return;
    // Stray writes are watched for on: what reaches the old primary does not wait for the remedy.
    await this.phases.stop();
    await this.stopFenceWatch();
    await this.streams.stopReplication();
    // It has written there past our stream, whatever ends it.
    if (code === 'TARGET_SHARED' && record.document.verify?.state !== 'stale') await this.verification.forget(message);
    const { phase } = record.document;
    if (phase === 'error' || isFinal(phase)) return;
    const fromPhase = phase === 'verifying_data' ? 'running' : phase;
    await record.update(() => ({
      phase: 'error',
      error: { code, message, details, fromPhase, atMs: Date.now() },
    }));
    this.watchFence();
    this.world.log(
      'error',
      `${code}: ${message}`,
      code === 'INTERNAL' && error instanceof Error ? { stack: error.stack } : undefined,
    );
  }
}
