import { AppError, serializeError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import { parsePosition } from '../../core/gtid.ts';
import { otherSide, type Side } from '../../core/phase.ts';
import type { VerifyView } from '../api.ts';
import type { ImportStreams } from '../import-streams.ts';
import type { ImportWorld } from '../import-world.ts';
import { KeptVerification } from './kept-verification.ts';
import { isFinal } from '../phase.ts';
import { flavorOf } from '../switch/switch-world.ts';
import { isKept, STILL, VerificationRecord } from './verification-record.ts';
import type { RowDifference } from '../verify/compare-digests.ts';

/** How often the position is made durable up to which changes have been compared. */
const PERSIST_MS = 10_000;

/**
 * What is said of the import's rows, by what is known of them: behind the pass (ADR 20) `equal` is said and stays said only while
 * every row that is written is compared again (I9). While a table is compared anew that DDL has touched it is `rechecking`; where a
 * row differs `different`; where rows cannot be compared any more `stale`.
 */
export class VerificationKeeper {
  readonly world: ImportWorld;
  readonly record: VerificationRecord;
  readonly #streams: ImportStreams;
  #kept: KeptVerification | undefined;
  #throttled: string | null = null;
  #persisting: NodeJS.Timeout | undefined;

  constructor(world: ImportWorld, streams: ImportStreams) {
    this.world = world;
    this.#streams = streams;
    this.record = new VerificationRecord(world);
  }

  get kept(): KeptVerification | undefined {
    return this.#kept;
  }

  /** As people see it: what nobody compares at the moment is not said to be equal. */
  get view(): VerifyView | null {
    const { live } = this;
    return live === null ? null : this.#shown(this.record.told(live));
  }

  /** The same with what is known by now, for whoever decides by it. */
  get known(): VerifyView | null {
    const { live } = this;
    return live === null ? null : this.#shown(live);
  }

  /** What is to be stored: its state is that of the rows that have been compared. */
  get live(): VerifyView | null {
    const { view } = this.record;
    return view === null || this.#kept === undefined
      ? view
      : { ...this.#kept.shownIn(view), throttled: this.#throttled };
  }

  /** A new pass begins, or one that stopped on its way; nothing is told of it yet. */
  keepNew(primary: Side): KeptVerification {
    const { world } = this;
    const { document } = world.record;
    const other = otherSide(primary);
    const { credentials } = world;
    const kept: KeptVerification = new KeptVerification({
      source: credentials[primary],
      target: credentials[other],
      mirrored: primary === 'target',
      database: document.database,
      flavors: { source: flavorOf(document, primary), target: flavorOf(document, other) },
      throttle: document.options.throttle,
      follower: this.#streams.follower(other),
      names: () => world.record.document.tables,
      ownTables: async () => (primary === 'source' ? await this.#streams.ownTables() : undefined),
      isOwnImport: this.#streams.isOwnImportOn(primary),
      signal: world.signal,
      log: (level, message) => world.log(level, message),
      onThrottle: (reason) => {
        this.#throttled = reason;
        world.changed();
      },
      onDifferences: (table, differences) => this.#onDifferences(table, differences),
      onChanged: () => world.changed(),
      onPending: () => {
        if (this.#kept === kept) this.#onPending();
      },
    });
    this.#throttled = null;
    this.#kept = kept;
    return kept;
  }

  /** Goes on where the record stands; `mayBeBehind`: something may have been written since. */
  keepFrom({ mayBeBehind }: { mayBeBehind: boolean }): void {
    const { view } = this.record;
    if (view === null || this.#kept !== undefined || !isKept(view)) return;
    const { position, primary } = view;
    if (position === null) {
      // What differed when traffic moved is known from then.
      if (view.state !== 'different')
        void this.goStale(new AppError('VERIFY_STALE', 'it is not known what was written since'));
      return;
    }
    const kept = this.keepNew(primary);
    kept.goOn(view, { position: parsePosition(kept.options.flavors.source, position), mayBeBehind });
    this.persistRegularly();
    this.watch(kept);
  }

  /** Everything that was applied before the call has been compared, and no table is pending. Rejects when `signal` aborts first. */
  async drain(signal: AbortSignal): Promise<void> {
    const state = this.record.view?.state;
    if (state !== 'equal' && state !== 'rechecking') return;
    if (this.#kept === undefined) throw new AppError('VERIFY_STALE', 'nobody compares what is written');
    await failpoint('verify.drain');
    await this.#kept.drain(signal);
  }

  /** Nobody listens any more; the record keeps what is known. */
  async stop(): Promise<void> {
    const kept = this.#kept;
    if (kept === undefined) return;
    clearInterval(this.#persisting);
    const { live } = this;
    this.record.view = live === null ? null : { ...live, ...STILL };
    this.#kept = undefined;
    await kept.stop();
    // The next engine has the record by then.
    if (this.world.signal.aborted) return;
    await this.#persist();
  }

  /** From now on it ends by itself only where rows cannot be compared any more. */
  watch(kept: KeptVerification): void {
    if (this.#kept !== kept) return;
    void kept.done.catch(async (error: unknown) => {
      if (this.#kept === kept) await this.goStale(error);
    });
  }

  persistRegularly(): void {
    this.#persisting = setInterval(() => void this.#persist(), PERSIST_MS).unref();
  }

  /** What it says behind the pass, by what is known by now. */
  restate(): void {
    const { view } = this.record;
    const kept = this.#kept;
    if (view === null || kept === undefined || !isKept(view)) return;
    const { pendingReason: reason, differencesTotal } = kept.tables;
    const state = differencesTotal > 0 ? 'different' : reason === null ? 'equal' : 'rechecking';
    if (state !== view.state || reason !== view.reason) this.record.view = { ...view, state, reason };
  }

  /** Rejects only where it is not stored that way: by then it is said all the same. */
  async becomeStale(error: unknown): Promise<void> {
    const before = this.record.view;
    if (before === null || before.state === 'failed') return;
    await this.stop();
    // Another pass has begun meanwhile.
    if (this.#kept !== undefined) return;
    const view = this.record.view ?? before;
    const { message } = serializeError(error);
    const state = view.state === 'equal' || view.state === 'rechecking' ? 'stale' : view.state;
    if (state === 'stale') this.world.log('warn', `the verification is stale: ${message}`);
    this.record.view = { ...view, state, reason: message };
    await this.record.store(this.live);
  }

  async goStale(error: unknown): Promise<void> {
    await this.world.tolerating('the stored verification is older', () => this.becomeStale(error));
  }

  #shown(view: VerifyView): VerifyView {
    if (view.state !== 'equal' && view.state !== 'rechecking') return view;
    const { error, phase } = this.world.record.document;
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

  async #persist(): Promise<void> {
    await this.world.tolerating('a verification begins at an older position', () => this.record.persist(this.live));
  }

  #onDifferences(table: string, differences: RowDifference[]): void {
    this.world.changed();
    const { view } = this.record;
    if (view === null || view.state === 'running') return;
    this.world.log('error', `${differences.length} rows of ${table} differ that were written since the verification`);
    this.restate();
    void this.record.storeOrWarn(this.live);
  }

  #onPending(): void {
    const before = this.record.view;
    this.restate();
    const { view } = this.record;
    if (view === null || view === before) return;
    const reason = view.reason === null ? '' : `: ${view.reason}`;
    this.world.log(view.state === 'equal' ? 'info' : 'warn', `verification: ${view.state}${reason}`);
    void this.record.storeOrWarn(this.live);
  }
}
