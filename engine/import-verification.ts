import { childController } from '../core/abort.ts';
import { systemClock } from '../core/clock.ts';
import { AppError, serializeError } from '../core/errors.ts';
import { parsePosition, type StreamPosition } from '../core/gtid.ts';
import { otherSide, type Side } from '../core/phase.ts';
import type { VerifyRepairReport, VerifyRequest, VerifyView } from './api.ts';
import { openDestination } from './apply/destination-connection.ts';
import type { ImportStreams } from './import-streams.ts';
import type { ImportWorld } from './import-world.ts';
import { KeptVerification } from './kept-verification.ts';
import { nextPhase } from './phase.ts';
import { finding } from './preflight/finding.ts';
import { inspectTables } from './schema/inspect.ts';
import { createSidecar } from './sidecar.ts';
import { flavorOf } from './switch/switch-world.ts';
import type { Table } from './schema/table.ts';
import type { RowDifference } from './verify/compare-digests.ts';
import { REPAIRS_DDL } from './verify/repairs-table.ts';
import { RowRate } from './verify/row-rate.ts';
import { runVerify } from './verify/run-verify.ts';
import { earlierPass, newPass, type PassStart } from './verify/pass-start.ts';

/** What only a running one has. */
const STILL = { recheck: null, throttled: null, etaMs: null } as const;
const NOTHING_YET: VerifyView = {
  ...STILL,
  state: 'failed',
  reason: null,
  startedAtMs: 0,
  finishedAtMs: null,
  rows: 0,
  tables: [],
  rowsPerSecond: null,
  primary: 'source',
  position: null,
};

/** How often the position is made durable up to which changes have been compared. */
const PERSIST_MS = 10_000;
const CONNECTIONS_MAX = 2;

/**
 * The verification of one import: the pass over all rows, and what keeps its answer true behind it (ADR 20). `equal` is said
 * and stays said only while every row that is written is compared again (I9); where that is not possible any more it becomes
 * `stale`, and where a row differs `different`.
 */
export class ImportVerification {
  readonly #world: ImportWorld;
  readonly #streams: ImportStreams;
  #view: VerifyView | null;
  #kept: KeptVerification | undefined;
  #isPromised = false;
  #throttled: string | null = null;
  #pass: { pausing: AbortController; ended: Promise<void> } | undefined;
  #persisting: NodeJS.Timeout | undefined;

  constructor(world: ImportWorld, streams: ImportStreams) {
    this.#world = world;
    this.#streams = streams;
    this.#view = world.record.document.verify;
  }

  get view(): VerifyView | null {
    const view = this.#view;
    return view === null || this.#kept === undefined
      ? view
      : { ...this.#kept.shownIn(view), throttled: this.#throttled };
  }

  /** Whether a pass has stopped on its way and can go on. */
  get canGoOn(): boolean {
    const view = this.#view;
    const hasStopped = view?.state === 'paused' || view?.state === 'failed' || view?.state === 'running';
    return hasStopped && view.position !== null;
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
      this.#view = await this.#runPass(kept, request, both).catch(async (error: unknown) => {
        const { position } = kept;
        await this.stop();
        if (this.#world.signal.aborted) throw error;
        if (kept.failure === undefined && both.aborted) return this.#stopped('paused', position);
        return this.#failed(kept.failure ?? error, position);
      });
      await this.#store();
    } finally {
      this.#pass = undefined;
      ended.resolve();
    }
    const { state, rows, position } = this.#view;
    this.#world.log(state === 'equal' ? 'info' : 'warn', `verification: ${state}`, { rows, position });
    this.#watch(kept);
  }

  /** Resolves when the pass has stopped and is stored as paused. */
  async pause(): Promise<void> {
    this.#pass?.pausing.abort();
    await this.#pass?.ended;
  }

  /** After a start of the engine: what was written since is looked up in the source's log. */
  keep(): void {
    const view = this.#view;
    if (view === null || this.#kept !== undefined) return;
    if (view.state !== 'equal' && view.state !== 'different') return;
    const { position, primary } = view;
    if (position === null) {
      // What differed when traffic moved is known from then.
      if (view.state === 'equal')
        void this.#goStale(new AppError('VERIFY_STALE', 'it is not known what was written since'));
      return;
    }
    const kept = this.#keepNew(primary);
    kept.goOn(view, async () => ({
      position: parsePosition(kept.flavors.source, position),
      ...(await this.#bothTables(primary)),
    }));
    this.#persistRegularly();
    this.#watch(kept);
  }

  async stop(): Promise<void> {
    const kept = this.#kept;
    if (kept === undefined) return;
    clearInterval(this.#persisting);
    this.#view = this.view === null ? null : { ...this.view, ...STILL };
    this.#kept = undefined;
    await kept.stop();
    // The next engine has the record by then.
    if (this.#world.signal.aborted) return;
    await this.#world.tolerating('a verification begins at an older position', () => this.#persist());
  }

  /** Rows that are known to differ. Each is recorded on the target, and the import has a finding. */
  async repair(actor: string): Promise<Omit<VerifyRepairReport, 'view'>> {
    const { record } = this.#world;
    const kept = this.#kept;
    if (kept === undefined || this.#view?.state !== 'different')
      throw new AppError(
        'PHASE_REFUSED',
        'no verification has found differing rows that are known still: verify first',
      );
    if (kept.repairable === 0)
      throw new AppError('PHASE_REFUSED', 'the engine was restarted since the differing rows were found: verify first');
    await using writer = await openDestination(this.#world.credentials.target);
    await createSidecar(writer, [REPAIRS_DDL]);
    const repairs = await kept.repair({ writer, importId: record.document.id, actor });
    const found = repairs
      .filter(({ repaired }) => repaired.length > 0)
      .map(({ table, repaired }) =>
        finding('ROWS_REPAIRED', 'target', table, `${repaired.length} rows that differed were repaired by ${actor}`),
      );
    for (const { message, subject } of found) this.#world.log('warn', `${subject}: ${message}`);
    await record.update(({ findings }) => ({ findings: [...findings, ...found] }));
    if (kept.differencesTotal === 0) this.#view = { ...this.#view, state: 'equal' };
    await this.#store();
    return {
      repaired: repairs.reduce((sum, { repaired }) => sum + repaired.length, 0),
      already: repairs.reduce((sum, { already }) => sum + already.length, 0),
      left: repairs.flatMap(({ table, left }) => left.map((row) => ({ table, ...row }))),
    };
  }

  /** A switch is near: nothing is gathered any more, and what is said now is what `confirm` makes sure of. */
  beginSwitch(): Disposable {
    const hurry = this.#kept?.hurry();
    this.#isPromised = this.#view?.state === 'equal';
    return {
      [Symbol.dispose]: () => {
        this.#isPromised = false;
        hurry?.[Symbol.dispose]();
      },
    };
  }

  /** Everything that was applied before the call has been compared. Rejects when `signal` aborts first. */
  async drain(signal: AbortSignal): Promise<void> {
    if (this.#view?.state !== 'equal') return;
    if (this.#kept === undefined) throw new AppError('VERIFY_STALE', 'nobody compares what is written');
    await this.#kept.drain(signal);
  }

  /** Behind the fence, when all is applied: that what was said to be equal still is. Rejects otherwise. */
  async confirm(budgetMs: number): Promise<void> {
    if (!this.#isPromised) return;
    await this.drain(AbortSignal.timeout(budgetMs)).catch((cause: unknown) => {
      const left = this.view?.recheck?.keys ?? 0;
      const message = `${left} rows that were written last could not be compared within ${budgetMs} ms`;
      throw new AppError('SWITCH_ROLLED_BACK', message, { cause });
    });
    if (this.#view?.state === 'equal') return;
    if (this.#view?.state === 'stale') throw new AppError('VERIFY_STALE', this.#view.reason ?? 'it is stale');
    throw new AppError('VERIFY_DIFFERENT', `rows differ that were written since the verification: ${this.#named()}`);
  }

  /**
   * Behind the decision of a switch, when no stream runs: everything that the old primary had is on both sides (`confirm`), so from
   * where the stream to it begins it is the new primary's writes that are compared (ADR 25). Done again after a crash.
   */
  async moved(to: Side): Promise<void> {
    const view = this.#view;
    if (view === null || view.primary === to) return;
    await this.stop();
    if (view.state !== 'equal') {
      const reason = 'primary traffic has moved since';
      this.#view = { ...view, ...STILL, reason: view.reason ?? reason, primary: to, position: null };
      await this.#store();
      return;
    }
    const position = await this.#streams.beginningTo(otherSide(to)).catch((error: unknown) => error);
    if (typeof position !== 'string') {
      const why = position instanceof AppError ? position.message : 'the stream to the old primary has no beginning';
      this.#view = { ...view, primary: to };
      await this.#goStale(
        new AppError('VERIFY_STALE', `primary traffic has moved, and what is written there is not compared: ${why}`),
      );
      return;
    }
    // Stored before anything is applied: an engine that is killed looks up in the log what came behind it.
    this.#view = { ...view, ...STILL, primary: to, position };
    await this.#store();
    this.keep();
  }

  /** The sides differ from now on by what replication does not bring. */
  async diverged(reason: string): Promise<void> {
    if (this.#view?.state === 'equal') await this.#goStale(new AppError('VERIFY_STALE', reason));
  }

  /** What is known is of another time than the one that the import is brought to. */
  async forget(reason: string): Promise<void> {
    if (this.#view === null) return;
    await this.stop();
    this.#view = { ...this.#view, ...STILL, state: 'stale', reason, position: null };
    await this.#store();
  }

  /** The phase that goes with it, once a switch has ended. */
  async settlePhase(): Promise<void> {
    if (this.#view?.state === 'equal') await this.#store();
  }

  #keepNew(primary: Side): KeptVerification {
    const { document } = this.#world.record;
    const other = otherSide(primary);
    const { credentials } = this.#world;
    const kept = new KeptVerification({
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
    });
    this.#throttled = null;
    this.#kept = kept;
    return kept;
  }

  async #runPass(kept: KeptVerification, request: VerifyRequest | 'resumed', signal: AbortSignal): Promise<VerifyView> {
    const { document } = this.#world.record;
    const { source, target } = this.#world.credentials;
    const tables = await this.#bothTables('source');
    const { startedAtMs, rowsPerSecond, chunks, done } = await this.#beginPass(kept, request, tables.sourceTables);
    const rate = rowsPerSecond === null ? undefined : new RowRate(rowsPerSecond, systemClock);
    try {
      const view = await runVerify({
        flavors: kept.flavors,
        source,
        target,
        ...tables,
        follower: this.#streams.follower('target'),
        connections: Math.min(CONNECTIONS_MAX, document.options.connections),
        signal,
        startedAtMs,
        done,
        onProgress: (view) => {
          // What it fails of is put into words here.
          if (view.state !== 'failed') this.#view = { ...view, rowsPerSecond };
          this.#world.changed();
        },
        onTables: (verifications) => {
          kept.begin(verifications);
          this.#persistRegularly();
        },
        onEqual: (table, chunk) => chunks.add(table, chunk),
        onRows: (rows) => rate?.spent(rows),
        pace: async (waiting) => {
          await kept.pace(waiting);
          await rate?.pass(waiting);
        },
        beforeVerdict: (deciding) => kept.settle(deciding),
      });
      return { ...view, rowsPerSecond, position: kept.position?.toString() ?? null };
    } finally {
      await this.#world.tolerating('chunks will be compared once more', () => chunks.flush());
    }
  }

  /** Stored before the first row is compared, so that it can go on from there. */
  async #beginPass(
    kept: KeptVerification,
    request: VerifyRequest | 'resumed',
    sourceTables: Table[],
  ): Promise<PassStart> {
    const place = { target: this.#world.credentials.target, importId: this.#world.record.document.id };
    const earlier =
      request === 'resumed' && this.#view !== null && this.canGoOn
        ? await earlierPass(place, this.#view, {
            heardSince: (position) => kept.heardSince(parsePosition(kept.flavors.source, position), sourceTables),
            log: (message) => this.#world.log('warn', message),
          })
        : undefined;
    const rowsPerSecond = request === 'resumed' ? (this.#view?.rowsPerSecond ?? null) : request.rowsPerSecond;
    const start = earlier ?? newPass(place, rowsPerSecond);
    const position = earlier === undefined ? await kept.begins() : kept.position;
    await start.chunks.begin();
    const view: VerifyView = {
      ...NOTHING_YET,
      state: 'running',
      startedAtMs: start.startedAtMs,
      rowsPerSecond: start.rowsPerSecond,
      position: position?.toString() ?? null,
    };
    this.#view =
      earlier === undefined || this.#view === null
        ? view
        : { ...this.#view, ...view, rows: this.#view.rows, tables: this.#view.tables };
    const stored = this.#view;
    await this.#world.record.update(() => ({ verify: stored }));
    return start;
  }

  async #bothTables(primary: Side): Promise<{ sourceTables: Table[]; targetTables: Table[] }> {
    const { database, tables } = this.#world.record.document;
    await using source = await this.#world.connect(primary);
    await using target = await this.#world.connect(otherSide(primary));
    return {
      sourceTables: await inspectTables(source, database, tables),
      targetTables: await inspectTables(target, database, tables),
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
    return { ...(this.#view ?? NOTHING_YET), ...STILL, state, position: position?.toString() ?? null };
  }

  #persistRegularly(): void {
    this.#persisting = setInterval(() => {
      void this.#world.tolerating('a verification begins at an older position', () => this.#persist());
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
    if (this.#view === null || this.#view.state === 'running') return;
    const state = this.#view.state === 'equal' ? 'different' : this.#view.state;
    this.#view = { ...this.#view, state };
    this.#world.log('error', `${differences.length} rows of ${table} differ that were written since the verification`);
    void this.#world.tolerating('the stored verification is older', () => this.#store());
  }

  async #goStale(error: unknown): Promise<void> {
    if (this.#view === null || this.#view.state === 'failed') return;
    await this.stop();
    const { message } = serializeError(error);
    const state = this.#view.state === 'equal' ? 'stale' : this.#view.state;
    if (state === 'stale') this.#world.log('warn', `the verification is stale: ${message}`);
    this.#view = { ...this.#view, state, reason: message };
    await this.#world.tolerating('the stored verification is older', () => this.#store());
  }

  /** The view, and the phase that goes with it. */
  async #store(): Promise<void> {
    const verify = this.view === null ? null : { ...this.view, ...STILL };
    const isEqual = verify?.state === 'equal';
    await this.#world.record.update(({ phase }) => {
      if (phase === 'verifying_data') return { verify, phase: nextPhase(phase, isEqual ? 'verified' : 'verify_ended') };
      if (phase === 'verified_data' && !isEqual) return { verify, phase: nextPhase(phase, 'unverified') };
      return { verify, phase: phase === 'running' && isEqual ? nextPhase(phase, 'verified') : phase };
    });
    this.#world.changed();
  }

  async #persist(): Promise<void> {
    const { record } = this.#world;
    const position = this.view?.position ?? null;
    if (position === null || position === record.document.verify?.position) return;
    const verify = this.view === null ? null : { ...this.view, ...STILL };
    await record.update(() => ({ verify }));
  }

  #named(): string {
    const tables = this.view?.tables ?? [];
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
