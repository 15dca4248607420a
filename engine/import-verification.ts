import { isAbort } from '../core/abort.ts';
import { AppError, serializeError } from '../core/errors.ts';
import { parsePosition } from '../core/gtid.ts';
import type { VerifyView } from './api.ts';
import type { ImportStreams } from './import-streams.ts';
import type { ImportWorld } from './import-world.ts';
import { KeptVerification } from './kept-verification.ts';
import { nextPhase } from './phase.ts';
import { inspectTables } from './schema/inspect.ts';
import type { Table } from './schema/table.ts';
import type { RowDifference } from './verify/compare-digests.ts';
import { runVerify } from './verify/run-verify.ts';

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
  #persisting: NodeJS.Timeout | undefined;

  constructor(world: ImportWorld, streams: ImportStreams) {
    this.#world = world;
    this.#streams = streams;
    this.#view = world.record.document.verify;
  }

  get view(): VerifyView | null {
    const view = this.#view;
    return view === null || this.#kept === undefined ? view : this.#kept.shownIn(view);
  }

  /** The whole pass; its verdict is stored. Rejects only when `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await this.stop();
    const kept = this.#keepNew();
    this.#view = await this.#pass(kept, AbortSignal.any([signal, kept.signal])).catch(async (error: unknown) => {
      await this.stop();
      if (signal.aborted || (isAbort(error) && kept.failure === undefined)) throw error;
      return this.#failed(kept.failure ?? error);
    });
    await this.#store();
    const { state, rows, position } = this.#view;
    this.#world.log(state === 'equal' ? 'info' : 'warn', `verification: ${state}`, { rows, position });
    this.#watch(kept);
  }

  /** After a start of the engine: what was written since is looked up in the source's log. */
  keep(): void {
    const view = this.#view;
    if (view === null || this.#kept !== undefined) return;
    if (view.state !== 'equal' && view.state !== 'different') return;
    const { position } = view;
    if (position === null) {
      void this.#goStale(new AppError('VERIFY_STALE', 'it is not known what was written since'));
      return;
    }
    const kept = this.#keepNew();
    kept.goOn(view, async () => ({
      position: parsePosition(this.#world.record.document.sourceFacts.flavor, position),
      ...(await this.#bothTables()),
    }));
    this.#watch(kept);
  }

  async stop(): Promise<void> {
    const kept = this.#kept;
    if (kept === undefined) return;
    clearInterval(this.#persisting);
    this.#view = this.view === null ? null : { ...this.view, recheck: null };
    this.#kept = undefined;
    await kept.stop();
    await this.#world.tolerating('a verification begins at an older position', () => this.#persist());
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
    if (this.#view?.state === 'equal') await this.#kept?.drain(signal);
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

  /** The source is not what is followed any more. */
  async moved(): Promise<void> {
    await this.#goStale(
      new AppError('VERIFY_STALE', 'primary traffic has moved, and what is written there is not compared'),
    );
  }

  #keepNew(): KeptVerification {
    const { document } = this.#world.record;
    const { source, target } = this.#world.credentials;
    const kept = new KeptVerification({
      source,
      target,
      database: document.database,
      flavors: { source: document.sourceFacts.flavor, target: document.targetFacts.flavor },
      throttle: document.options.throttle,
      follower: this.#streams.follower(),
      signal: this.#world.signal,
      log: (level, message) => this.#world.log(level, message),
      onDifferences: (table, differences) => this.#onDifferences(table, differences),
      onChanged: () => this.#world.changed(),
    });
    this.#kept = kept;
    return kept;
  }

  async #pass(kept: KeptVerification, signal: AbortSignal): Promise<VerifyView> {
    const { document } = this.#world.record;
    const { source, target } = this.#world.credentials;
    const { flavors } = kept;
    const view = await runVerify({
      flavors,
      source,
      target,
      ...(await this.#bothTables()),
      follower: this.#streams.follower(),
      connections: Math.min(CONNECTIONS_MAX, document.options.connections),
      signal,
      onProgress: (progress) => {
        this.#view = progress;
        this.#world.changed();
      },
      onTables: (tables) => kept.begin(tables),
      pace: (waiting) => kept.pace(waiting),
      beforeVerdict: (deciding) => kept.drain(deciding),
    });
    return { ...view, position: kept.position?.toString() ?? null };
  }

  async #bothTables(): Promise<{ sourceTables: Table[]; targetTables: Table[] }> {
    const { database, tables } = this.#world.record.document;
    await using source = await this.#world.connect('source');
    await using target = await this.#world.connect('target');
    return {
      sourceTables: await inspectTables(source, database, tables),
      targetTables: await inspectTables(target, database, tables),
    };
  }

  #failed(error: unknown): VerifyView {
    const { code, message } = serializeError(error);
    this.#world.log('error', `the verification did not finish: ${code}: ${message}`);
    const now = Date.now();
    const { startedAtMs = now, rows = 0, tables = [] } = this.#view ?? {};
    return {
      state: 'failed',
      reason: `${code}: ${message}`,
      startedAtMs,
      finishedAtMs: now,
      rows,
      tables,
      position: null,
      recheck: null,
    };
  }

  /** From now on it ends by itself only where rows cannot be compared any more. */
  #watch(kept: KeptVerification): void {
    if (this.#kept !== kept) return;
    this.#persisting = setInterval(() => {
      void this.#world.tolerating('a verification begins at an older position', () => this.#persist());
    }, PERSIST_MS).unref();
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
    const verify = this.view === null ? null : { ...this.view, recheck: null };
    const isEqual = verify?.state === 'equal';
    await this.#world.record.update(({ phase }) => {
      if (phase === 'verifying_data') return { verify, phase: nextPhase(phase, isEqual ? 'verified' : 'verify_ended') };
      return { verify, phase: phase === 'verified_data' && !isEqual ? nextPhase(phase, 'unverified') : phase };
    });
    this.#world.changed();
  }

  async #persist(): Promise<void> {
    const { record } = this.#world;
    const position = this.view?.position ?? null;
    if (position === null || position === record.document.verify?.position || this.#view?.state === 'running') return;
    await record.update(({ verify }) => ({ verify: verify === null ? null : { ...verify, position } }));
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
