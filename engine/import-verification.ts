import { childController } from '../core/abort.ts';
import { AppError, serializeError } from '../core/errors.ts';
import { parsePosition, type StreamPosition } from '../core/gtid.ts';
import { otherSide, type Side } from '../core/phase.ts';
import type { VerifyRepairReport, VerifyRequest, VerifyView } from './api.ts';
import type { ImportStreams } from './import-streams.ts';
import type { ImportWorld } from './import-world.ts';
import { KeptVerification, type ComparedState } from './kept-verification.ts';
import { isFinal } from './phase.ts';
import { existingTables } from './schema/existing-tables.ts';
import { flavorOf } from './switch/switch-world.ts';
import { canGoOn, NOTHING_YET, VerificationPass } from './verification-pass.ts';
import { isKept, STILL, VerificationRecord } from './verification-record.ts';
import { repairDifferences } from './verification-repair.ts';
import type { RowDifference } from './verify/compare-digests.ts';

/** How often the position is made durable up to which changes have been compared. */
const PERSIST_MS = 10_000;

/**
 * The verification of one import: the pass over all rows, and what keeps its answer true behind it (ADR 20). `equal` is said
 * and stays said only while every row that is written is compared again (I9). While a table is compared anew that DDL has
 * touched it is `rechecking`; where a row differs `different`; where rows cannot be compared any more `stale`.
 */
export class ImportVerification {
  readonly #world: ImportWorld;
  readonly #streams: ImportStreams;
  readonly #record: VerificationRecord;
  #kept: KeptVerification | undefined;
  #isPromised = false;
  #throttled: string | null = null;
  #pass: { pausing: AbortController; ended: Promise<void> } | undefined;
  #persisting: NodeJS.Timeout | undefined;

  constructor(world: ImportWorld, streams: ImportStreams) {
    this.#world = world;
    this.#streams = streams;
    this.#record = new VerificationRecord(world);
  }

  /** As people see it: what nobody compares at the moment is not said to be equal. */
  get view(): VerifyView | null {
    const live = this.#live;
    if (live === null) return null;
    const view = this.#record.told(live);
    if (view.state !== 'equal' && view.state !== 'rechecking') return view;
    const { error, phase } = this.#world.record.document;
    if (view.state === 'rechecking' && isFinal(phase))
      return { ...view, ...STILL, state: 'stale', reason: 'the import ended before all was compared anew' };
    if (error !== null) {
      const reason = `the import is in error (${error.code}), and nothing is compared until it is resumed`;
      return { ...view, ...STILL, state: 'stale', reason };
    }
    if (this.#kept?.isBehind !== true) return view;
    const reason = view.reason ?? 'what was written while nothing was compared is looked up and compared';
    return { ...view, state: 'rechecking', reason };
  }

  /** With what is known by now. */
  get #live(): VerifyView | null {
    const { view } = this.#record;
    return view === null || this.#kept === undefined
      ? view
      : { ...this.#kept.shownIn(view), throttled: this.#throttled };
  }

  /** Whether a pass has stopped on its way and can go on. */
  get canGoOn(): boolean {
    return canGoOn(this.#record.view);
  }

  /** The whole pass; its verdict is stored. Rejects only when the engine ends: the next one goes on with it. */
  async run(request: VerifyRequest | 'resumed', signal: AbortSignal): Promise<void> {
    await this.stop();
    const kept = this.#keepNew('source');
    const pausing = childController(signal);
    const ended = Promise.withResolvers<void>();
    this.#pass = { pausing, ended: ended.promise };
    try {
      const both = AbortSignal.any([pausing.signal, kept.signal]);
      const pass = new VerificationPass({
        world: this.#world,
        record: this.#record,
        kept,
        follower: this.#streams.follower('target'),
        request,
        signal: both,
        onBegun: () => this.#persistRegularly(),
      });
      this.#record.view = await pass.run().catch(async (error: unknown) => {
        const { position } = kept;
        await this.stop();
        if (this.#world.signal.aborted) throw error;
        if (kept.failure === undefined && both.aborted) return this.#stopped('paused', position);
        return this.#failed(kept.failure ?? error, position);
      });
      kept.passed();
      await this.#record.store(this.#live);
    } finally {
      this.#pass = undefined;
      ended.resolve();
    }
    const { state, rows, position } = this.#record.view;
    this.#world.log(state === 'equal' ? 'info' : 'warn', `verification: ${state}`, { rows, position });
    this.#watch(kept);
  }

  /** Resolves when the pass has stopped and is stored as paused. */
  async pause(): Promise<void> {
    this.#pass?.pausing.abort();
    await this.#pass?.ended;
  }

  /** After a start of the engine, and when the import goes on after an error: what was written since is looked up in the log. */
  keep(): void {
    this.#keepFrom({ mayBeBehind: true });
  }

  async stop(): Promise<void> {
    const kept = this.#kept;
    if (kept === undefined) return;
    clearInterval(this.#persisting);
    const live = this.#live;
    this.#record.view = live === null ? null : { ...live, ...STILL };
    this.#kept = undefined;
    await kept.stop();
    // The next engine has the record by then.
    if (this.#world.signal.aborted) return;
    await this.#world.tolerating('a verification begins at an older position', () => this.#record.persist(this.#live));
  }

  /** Rows that are known to differ. */
  async repair(actor: string): Promise<Omit<VerifyRepairReport, 'view'>> {
    const kept = this.#kept;
    if (kept === undefined || this.#record.view?.state !== 'different')
      throw new AppError(
        'PHASE_REFUSED',
        'no verification has found differing rows that are known still: verify first',
      );
    const report = await repairDifferences(this.#world, kept, actor);
    if (this.#kept === kept) this.#restate();
    await this.#record.store(this.#live);
    return report;
  }

  /** A switch is near: nothing is gathered any more, and what is said now is what `confirm` makes sure of. */
  beginSwitch(): Disposable {
    const hurry = this.#kept?.hurry();
    this.#isPromised = this.#record.view?.state === 'equal';
    return {
      [Symbol.dispose]: () => {
        this.#isPromised = false;
        hurry?.[Symbol.dispose]();
      },
    };
  }

  /** Everything that was applied before the call has been compared, and no table is pending. Rejects when `signal` aborts first. */
  async drain(signal: AbortSignal): Promise<void> {
    const state = this.#record.view?.state;
    if (state !== 'equal' && state !== 'rechecking') return;
    if (this.#kept === undefined) throw new AppError('VERIFY_STALE', 'nobody compares what is written');
    await this.#kept.drain(signal);
  }

  /** Behind the fence, when all is applied: that what was said to be equal still is. Rejects otherwise. */
  async confirm(budgetMs: number): Promise<void> {
    if (!this.#isPromised) return;
    await this.drain(AbortSignal.timeout(budgetMs)).catch((cause: unknown) => {
      const pending = this.#kept?.pendingReason ?? null;
      const left = pending ?? `${this.#live?.recheck?.keys ?? 0} rows that were written last`;
      throw new AppError('SWITCH_ROLLED_BACK', `not compared within ${budgetMs} ms: ${left}`, { cause });
    });
    const view = this.#record.view;
    if (view?.state === 'equal') return;
    if (view?.state === 'rechecking')
      throw new AppError('SWITCH_ROLLED_BACK', `not compared: ${view.reason ?? 'what was written last'}`);
    if (view?.state === 'stale') throw new AppError('VERIFY_STALE', view.reason ?? 'it is stale');
    throw new AppError('VERIFY_DIFFERENT', `rows differ that were written since the verification: ${this.#named()}`);
  }

  /**
   * Behind the decision of a switch, when no stream runs: everything that the old primary had is on both sides (`confirm`), so from
   * where the stream to it begins it is the new primary's writes that are compared (ADR 25). Done again after a crash.
   */
  async moved(to: Side): Promise<void> {
    const { view } = this.#record;
    if (view === null || view.primary === to) return;
    await this.stop();
    if (view.state === 'rechecking') {
      this.#record.view = { ...view, ...STILL, primary: to };
      await this.#goStale(
        new AppError('VERIFY_STALE', `primary traffic has moved before all was compared: ${view.reason}`),
      );
      return;
    }
    if (view.state !== 'equal') {
      const reason = 'primary traffic has moved since';
      this.#record.view = { ...view, ...STILL, reason: view.reason ?? reason, primary: to, position: null };
      await this.#record.store(this.#live);
      return;
    }
    const position = await this.#streams.beginningTo(otherSide(to)).catch((error: unknown) => error);
    if (typeof position !== 'string') {
      const why = position instanceof AppError ? position.message : 'the stream to the old primary has no beginning';
      this.#record.view = { ...view, primary: to };
      await this.#goStale(
        new AppError('VERIFY_STALE', `primary traffic has moved, and what is written there is not compared: ${why}`),
      );
      return;
    }
    // Stored before anything is applied: an engine that is killed looks up in the log what came behind it.
    this.#record.view = { ...view, ...STILL, primary: to, position };
    await this.#record.store(this.#live);
    this.#keepFrom({ mayBeBehind: false });
  }

  /** The sides differ from now on by what replication does not bring. */
  async diverged(reason: string): Promise<void> {
    const state = this.#record.view?.state;
    if (state === 'equal' || state === 'rechecking') await this.#goStale(new AppError('VERIFY_STALE', reason));
  }

  /** What is known is of another time than the one that the import is brought to. */
  async forget(reason: string): Promise<void> {
    if (this.#record.view === null) return;
    await this.stop();
    this.#record.view = { ...this.#record.view, ...STILL, state: 'stale', reason, position: null };
    await this.#record.store(this.#live);
  }

  /** The phase that goes with it, once a switch has ended. */
  async settlePhase(): Promise<void> {
    if (this.#record.view?.state === 'equal') await this.#record.store(this.#live);
  }

  #keepFrom({ mayBeBehind }: { mayBeBehind: boolean }): void {
    const { view } = this.#record;
    if (view === null || this.#kept !== undefined || !isKept(view)) return;
    const { position, primary } = view;
    if (position === null) {
      // What differed when traffic moved is known from then.
      if (view.state !== 'different')
        void this.#goStale(new AppError('VERIFY_STALE', 'it is not known what was written since'));
      return;
    }
    const kept = this.#keepNew(primary);
    kept.goOn(
      view,
      mayBeBehind,
      async () => await this.#compared(parsePosition(kept.flavors.source, position), primary),
    );
    this.#persistRegularly();
    this.#watch(kept);
  }

  #keepNew(primary: Side): KeptVerification {
    const { document } = this.#world.record;
    const other = otherSide(primary);
    const { credentials } = this.#world;
    const kept: KeptVerification = new KeptVerification({
      source: credentials[primary],
      target: credentials[other],
      mirrored: primary === 'target',
      database: document.database,
      flavors: { source: flavorOf(document, primary), target: flavorOf(document, other) },
      throttle: document.options.throttle,
      follower: this.#streams.follower(other),
      ownTables: async () => (primary === 'source' ? await this.#streams.ownTables() : undefined),
      signal: this.#world.signal,
      log: (level, message) => this.#world.log(level, message),
      onThrottle: (reason) => {
        this.#throttled = reason;
        this.#world.changed();
      },
      onDifferences: (table, differences) => this.#onDifferences(table, differences),
      onChanged: () => this.#world.changed(),
      onPending: () => {
        if (this.#kept === kept) this.#onPending();
      },
    });
    this.#throttled = null;
    this.#kept = kept;
    return kept;
  }

  async #compared(position: StreamPosition, primary: Side): Promise<ComparedState> {
    const { database, tables: names } = this.#world.record.document;
    await using source = await this.#world.connect(primary);
    await using target = await this.#world.connect(otherSide(primary));
    return {
      position,
      names,
      sourceTables: await existingTables(source, database, names),
      targetTables: await existingTables(target, database, names),
    };
  }

  #failed(error: unknown, position: StreamPosition | undefined): VerifyView {
    const { code, message } = serializeError(error);
    this.#world.log('error', `the verification did not finish: ${code}: ${message}`);
    const isVoid = code === 'VERIFY_STALE' || code === 'VERIFY_TABLES_DIFFER';
    return {
      ...this.#stopped('failed', isVoid ? undefined : position),
      reason: `${code}: ${message}`,
      finishedAtMs: Date.now(),
    };
  }

  #stopped(state: 'paused' | 'failed', position: StreamPosition | undefined): VerifyView {
    return { ...(this.#record.view ?? NOTHING_YET), ...STILL, state, position: position?.toString() ?? null };
  }

  #persistRegularly(): void {
    this.#persisting = setInterval(() => {
      void this.#world.tolerating('a verification begins at an older position', () => this.#record.persist(this.#live));
    }, PERSIST_MS).unref();
  }

  /** From now on it ends by itself only where rows cannot be compared any more. */
  #watch(kept: KeptVerification): void {
    if (this.#kept !== kept) return;
    void kept.done.catch(async (error: unknown) => {
      if (this.#kept === kept) await this.#goStale(error);
    });
  }

  #onDifferences(table: string, differences: RowDifference[]): void {
    this.#world.changed();
    const { view } = this.#record;
    if (view === null || view.state === 'running') return;
    this.#world.log('error', `${differences.length} rows of ${table} differ that were written since the verification`);
    this.#restate();
    void this.#record.storeOrWarn(this.#live);
  }

  #onPending(): void {
    const before = this.#record.view;
    this.#restate();
    const view = this.#record.view;
    if (view === null || view === before) return;
    const reason = view.reason === null ? '' : `: ${view.reason}`;
    this.#world.log(view.state === 'equal' ? 'info' : 'warn', `verification: ${view.state}${reason}`);
    void this.#record.storeOrWarn(this.#live);
  }

  /** What it says behind the pass, by what is known by now. */
  #restate(): void {
    const { view } = this.#record;
    const kept = this.#kept;
    if (view === null || kept === undefined || !isKept(view)) return;
    const reason = kept.pendingReason;
    const state = kept.differencesTotal > 0 ? 'different' : reason === null ? 'equal' : 'rechecking';
    if (state !== view.state || reason !== view.reason) this.#record.view = { ...view, state, reason };
  }

  async #goStale(error: unknown): Promise<void> {
    const before = this.#record.view;
    if (before === null || before.state === 'failed') return;
    await this.stop();
    const view = this.#record.view ?? before;
    const { message } = serializeError(error);
    const state = view.state === 'equal' || view.state === 'rechecking' ? 'stale' : view.state;
    if (state === 'stale') this.#world.log('warn', `the verification is stale: ${message}`);
    this.#record.view = { ...view, state, reason: message };
    await this.#record.storeOrWarn(this.#live);
  }

  #named(): string {
    const tables = this.#live?.tables ?? [];
    return tables
      .filter(({ differencesTotal }) => differencesTotal > 0)
      .map(
        ({ name, differences }) =>
          `${name} ${differences
            .slice(0, 5)
            .map(({ key }) => key)
            .join(', ')}`,
      )
      .join('; ');
  }
}
