import { childController } from '../../core/abort.ts';
import { AppError, serializeError } from '../../core/errors.ts';
import type { VerifyRepairReport, VerifyRequest, VerifyView } from '../api.ts';
import type { ImportStreams } from '../import-streams.ts';
import type { ImportWorld } from '../import-world.ts';
import type { KeptVerification } from './kept-verification.ts';
import { VerificationAtSwitch } from './verification-at-switch.ts';
import { VerificationKeeper } from './verification-keeper.ts';
import { canGoOn, NOTHING_YET, VerificationPass } from './verification-pass.ts';
import { STILL, type VerificationRecord } from './verification-record.ts';
import { repairDifferences } from './verification-repair.ts';

/** The verification of one import as operators ask for it: a pass over all rows, and the repair of those that differ. */
export class ImportVerification {
  readonly atSwitch: VerificationAtSwitch;
  readonly #world: ImportWorld;
  readonly #streams: ImportStreams;
  readonly #keeper: VerificationKeeper;
  #pass: { pausing: AbortController; ended: Promise<void> } | undefined;

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

  get #record(): VerificationRecord {
    return this.#keeper.record;
  }

  /** The whole pass; its verdict is stored. Rejects only when the engine ends: the next one goes on with it. */
  async run(request: VerifyRequest | 'resumed', signal: AbortSignal): Promise<void> {
    await this.#keeper.stop();
    const former = this.#record.view;
    const isResumed = request === 'resumed' && former !== null && canGoOn(former);
    // Whatever is heard from now on is of this pass, and no word about the former one.
    this.#record.view = isResumed
      ? { ...former, ...STILL, state: 'running', reason: null, finishedAtMs: null }
      : { ...NOTHING_YET, state: 'running', startedAtMs: Date.now() };
    const kept = this.#keeper.keepNew('source');
    const pausing = childController(signal);
    const ended = Promise.withResolvers<void>();
    this.#pass = { pausing, ended: ended.promise };
    const both = AbortSignal.any([pausing.signal, kept.signal]);
    try {
      const pass = new VerificationPass({
        world: this.#world,
        record: this.#record,
        kept,
        follower: this.#streams.follower('target'),
        request,
        former,
        signal: both,
        onBegun: () => this.#keeper.persistRegularly(),
      });
      this.#record.view = await pass.run().catch((error: unknown) => this.#ended(kept, error, both));
      kept.passed();
      // In the same turn: what was found since the verdict counts.
      this.#keeper.restate();
      await this.#record.store(this.#keeper.live);
    } finally {
      this.#pass = undefined;
      ended.resolve();
    }
    const { state, rows, position } = this.#record.view;
    this.#world.log(state === 'equal' ? 'info' : 'warn', `verification: ${state}`, { rows, position });
    this.#keeper.watch(kept);
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
    return report;
  }

  /** The sides differ from now on by what replication does not bring. */
  async diverged(reason: string): Promise<void> {
    const state = this.#record.view?.state;
    if (state === 'equal' || state === 'rechecking') await this.#keeper.goStale(new AppError('VERIFY_STALE', reason));
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
