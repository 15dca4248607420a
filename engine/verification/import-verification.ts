import { childController } from '../../core/abort.ts';
import { AppError, serializeError } from '../../core/errors.ts';
import type { Side } from '../../core/phase.ts';
import type { VerifyRepairReport, VerifyRequest, VerifyView } from '../api.ts';
import type { ImportStreams } from '../import-streams.ts';
import type { ImportWorld } from '../import-world.ts';
import type { KeptVerification } from './kept-verification.ts';
import { VerificationAtSwitch } from './verification-at-switch.ts';
import { VerificationKeeper } from './verification-keeper.ts';
import { canGoOn, NOTHING_YET, VerificationPass, type VerificationPassOptions } from './verification-pass.ts';
import { STILL, type VerificationRecord } from './verification-record.ts';
import { repairDifferences } from './verification-repair.ts';

/** The verification of one import as operators ask for it: a pass over all rows, and the repair of those that differ. */
export class ImportVerification {
  readonly atSwitch: VerificationAtSwitch;
  readonly #world: ImportWorld;
  readonly #streams: ImportStreams;
  readonly #keeper: VerificationKeeper;
  #pass: { pausing: AbortController; begun: Promise<void>; ended: Promise<void> } | undefined;

  constructor(world: ImportWorld, streams: ImportStreams) {
    this.#world = world;
    this.#streams = streams;
    this.#keeper = new VerificationKeeper(world, streams);
    this.atSwitch = new VerificationAtSwitch(this.#keeper, streams);
  }

  get view(): VerifyView | null {
    return this.#keeper.view;
  }

  /** Whether a pass has stopped on its way and can go on. */
  get canGoOn(): boolean {
    return canGoOn(this.#record.view);
  }

  get isRunning(): boolean {
    return this.#pass !== undefined;
  }

  get #record(): VerificationRecord {
    return this.#keeper.record;
  }

  /** The whole pass; its verdict is stored. Rejects only when the engine ends: the next one goes on with it. */
  async run(request: VerifyRequest | 'resumed', primary: Side, signal: AbortSignal): Promise<void> {
    const pausing = childController(signal);
    const begun = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    this.#pass = { pausing, begun: begun.promise, ended: ended.promise };
    try {
      await this.#keeper.stop();
      const start = await this.#begin(request, primary);
      begun.resolve();
      await this.#run({ ...start, primary }, pausing.signal);
    } finally {
      this.#pass = undefined;
      begun.resolve();
      ended.resolve();
    }
  }

  /** Stored first: while the target is primary no phase tells the next engine of it. */
  async #begin(
    request: VerifyRequest | 'resumed',
    primary: Side,
  ): Promise<Pick<VerificationPassOptions, 'former' | 'rowsPerSecond'>> {
    const stored = this.#record.view;
    const last = request === 'resumed' && stored?.primary === primary ? stored : null;
    const former = canGoOn(last) ? last : null;
    const rowsPerSecond = request === 'resumed' ? (last?.rowsPerSecond ?? null) : request.rowsPerSecond;
    // Whatever is heard from now on is of this pass, and no word about the former one.
    const view: VerifyView =
      former !== null
        ? { ...former, ...STILL, state: 'running', reason: null, finishedAtMs: null }
        : { ...NOTHING_YET, primary, rowsPerSecond, state: 'running', startedAtMs: Date.now() };
    this.#record.view = view;
    await this.#world.record.update(() => ({ verify: view }));
    return { former, rowsPerSecond };
  }

  async #run(
    { primary, ...start }: Pick<VerificationPassOptions, 'former' | 'rowsPerSecond'> & { primary: Side },
    signal: AbortSignal,
  ): Promise<void> {
    const kept = this.#keeper.keepNew(primary);
    const both = AbortSignal.any([signal, kept.signal]);
    const pass = new VerificationPass({
      world: this.#world,
      record: this.#record,
      kept,
      ...start,
      signal: both,
      onBegun: () => this.#keeper.persistRegularly(),
    });
    this.#record.view = await pass.run().catch((error: unknown) => this.#ended(kept, error, both));
    kept.passed();
    // In the same turn: what was found since the verdict counts.
    this.#keeper.restate();
    await this.#record.store(this.#keeper.live);
    const { state, rows, position } = this.#record.view;
    this.#world.log(state === 'equal' ? 'info' : 'warn', `verification: ${state}`, { rows, position });
    this.#keeper.watch(kept);
    if (!this.#streams.strayWatchReads) await this.unwatched();
  }

  /** Resolves when the view is that of the pass, and stored. */
  async begun(): Promise<void> {
    await this.#pass?.begun;
  }

  /** Resolves when the pass has stopped and is stored as paused. */
  async pause(): Promise<void> {
    this.#pass?.pausing.abort();
    await this.#pass?.ended;
  }

  /** After a start of the engine, and when the import goes on after an error: what was written since is looked up in the log. */
  keep(): void {
    this.#keeper.keepFrom({ mayBeBehind: true });
  }

  async stop(): Promise<void> {
    await this.#keeper.stop();
  }

  /** Rows that are known to differ. */
  async repair(actor: string): Promise<Omit<VerifyRepairReport, 'view'>> {
    const { kept } = this.#keeper;
    if (kept === undefined || this.#record.view?.state !== 'different')
      throw new AppError(
        'PHASE_REFUSED',
        'no verification has found differing rows that are known still: verify first',
      );
    const report = await repairDifferences(this.#world, kept, actor);
    if (this.#keeper.kept === kept) this.#keeper.restate();
    await this.#record.store(this.#keeper.live);
    if (!this.#streams.strayWatchReads) await this.unwatched();
    return report;
  }

  /**
   * The sides differ from now on by what replication does not bring. A pass ends, and one that has stopped on its way does not go on:
   * it may be of rows that were compared already. Nor does what differed become equal by a repair of what is known.
   */
  async diverged(reason: string): Promise<void> {
    const stale = new AppError('VERIFY_STALE', reason);
    if (this.#pass !== undefined) {
      this.#keeper.kept?.fail(stale);
      await this.pause();
    }
    const { view } = this.#record;
    if (view === null) return;
    if (view.state === 'equal' || view.state === 'rechecking') await this.#keeper.goStale(stale);
    else if (canGoOn(view) || view.state === 'different') {
      await this.#keeper.stop();
      const state = view.state === 'different' ? 'different' : 'failed';
      const { code } = stale;
      this.#record.view = {
        ...(this.#record.view ?? view),
        ...STILL,
        state,
        reason: `${code}: ${reason}`,
        position: null,
      };
      await this.#record.store(this.#record.view);
    }
  }

  /** Nobody would see it if they did. Once somebody looks again, nothing has been missed: so a pass goes on, and has its verdict. */
  async unwatched(): Promise<void> {
    const state = this.#record.view?.state;
    if (state !== 'equal' && state !== 'rechecking') return;
    const reason = 'the log of the old primary cannot be read: what was written there is not known';
    await this.#keeper.goStale(new AppError('VERIFY_STALE', reason));
  }

  /** What is known is of another time than the one that the import is brought to. */
  async forget(reason: string): Promise<void> {
    await this.#keeper.stop();
    const { view } = this.#record;
    if (view === null) return;
    this.#record.view = { ...view, ...STILL, state: 'stale', reason, position: null };
    await this.#record.store(this.#record.view);
  }

  /** A pass that has come to no verdict. */
  async #ended(kept: KeptVerification, error: unknown, { aborted }: AbortSignal): Promise<VerifyView> {
    await this.#keeper.stop();
    if (this.#world.signal.aborted) throw error;
    const view = this.#record.view ?? NOTHING_YET;
    if (kept.failure === undefined && aborted) return { ...view, ...STILL, state: 'paused' };
    const { code, message } = serializeError(kept.failure ?? error);
    this.#world.log('error', `the verification did not finish: ${code}: ${message}`);
    const isVoid = code === 'VERIFY_STALE' || code === 'VERIFY_TABLES_DIFFER';
    const reason = `${code}: ${message}`;
    const finishedAtMs = Date.now();
    return { ...view, ...STILL, state: 'failed', reason, finishedAtMs, ...(isVoid ? { position: null } : {}) };
  }
}
