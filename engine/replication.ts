import { isAbort, childController } from '../core/abort.ts';
import { Backoff } from '../core/backoff.ts';
import { AppError } from '../core/errors.ts';
import { parsePosition, type StreamPosition } from '../core/gtid.ts';
import type { ServerDefinition, ServerFacts, StreamView } from './api.ts';
import { Applier } from './apply/applier.ts';
import { ApplyWindow, type TableWindow } from './apply/window.ts';
import type { Table } from './schema/table.ts';
import { ProgressRow, type Direction } from './sidecar.ts';
import { ChangeStream } from './stream/change-stream.ts';
import type { StreamTransaction } from './stream/transaction.ts';

/** A window ends at whichever comes first; small lag makes small windows by itself, since nothing more is waiting. */
const WINDOW_TRANSACTIONS_MAX = 4000;
const WINDOW_BYTES_MAX = 8 * 1024 * 1024;
const STREAM_BUFFER_BYTES_MAX = 16 * 1024 * 1024;
/** How often a position without changes is made durable. */
const IDLE_PROGRESS_MS = 1000;

/** What to do with a DDL statement on an imported table; `reload` reads the tables again after it. */
export type DdlHandler = (transaction: StreamTransaction & { ddl: { schema: string; sql: string } }) => Promise<void>;

export interface ReplicationOptions {
  importId: string;
  direction: Direction;
  origin: ServerDefinition;
  destination: ServerDefinition;
  flavor: ServerFacts['flavor'];
  database: string;
  /** The imported tables as they are on the origin now; read again after DDL. */
  loadTables: () => Promise<Table[]>;
  onDdl: DdlHandler;
  /** Hears the tables and keys of each window after the attempt to commit it, failed or not: it may have happened. */
  onApplied?: (tables: Iterable<TableWindow>) => void;
  /** The same for a transaction in parts, whose keys are too many to be remembered: any key of these tables. */
  onAppliedLarge?: (tables: Iterable<Table>) => void;
  onRetry?: (error: AppError) => void;
}

/** One direction: reads the origin's stream and applies it to the destination, until stopped; reconnects by itself. */
export class Replication {
  readonly #options: ReplicationOptions;
  readonly #controller: AbortController;
  readonly #progress: ProgressRow;
  readonly done: Promise<void>;
  #applied: StreamPosition | undefined;
  #appliedChanged = Promise.withResolvers<void>();
  #state: StreamView['state'] = 'catching_up';
  #failure: unknown;
  #stream: ChangeStream | undefined;
  #oldestPendingMs: number | undefined;
  #committing: Promise<void> = Promise.resolve();
  #transactions = 0;
  #rowChanges = 0;

  /** Starts at the durable progress row; `done` rejects with what stopped it, and resolves when `stop` did. */
  constructor(options: ReplicationOptions, signal: AbortSignal) {
    this.#options = options;
    this.#controller = childController(signal);
    this.#progress = new ProgressRow(options.importId, options.direction);
    this.done = this.#run(this.#controller.signal);
    this.done.catch(() => {});
  }

  async stop(): Promise<void> {
    this.#controller.abort();
    await this.done.catch(() => {});
  }

  /** Everything up to here is applied and, but for transactions without changes, durable. */
  get applied(): StreamPosition | undefined {
    return this.#applied;
  }

  /** From commit at the origin to now, of the oldest transaction that is not applied; 0 when there is none; undefined while unknown. */
  get lagMs(): number | undefined {
    const stream = this.#stream;
    if (stream === undefined) return undefined;
    if (this.#oldestPendingMs !== undefined) return Math.max(0, Date.now() - this.#oldestPendingMs);
    return Math.max(0, Date.now() - stream.lastHeardAtMs - 2000);
  }

  view(): StreamView {
    return {
      direction: this.#options.direction,
      state: this.#state,
      lagMs: this.lagMs ?? null,
      position: this.#applied?.toString() ?? null,
      transactionsApplied: this.#transactions,
      rowChangesApplied: this.#rowChanges,
    };
  }

  /** Resolves when a window that is being committed at the time of the call, if any, has been told to `onApplied`. */
  async reported(): Promise<void> {
    await this.#committing;
  }

  /** Resolves when everything in `position` is applied; rejects when the stream stops first or `signal` aborts. */
  async waitFor(position: StreamPosition, signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => aborted.reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      for (;;) {
        signal.throwIfAborted();
        if (this.#failure !== undefined) throw this.#failure;
        if (this.#applied?.covers(position) === true) return;
        await Promise.race([this.#appliedChanged.promise, aborted.promise]);
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      aborted.promise.catch(() => {});
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff({ initialMs: 100, maxMs: 5000 });
    try {
      while (!signal.aborted) {
        try {
          await this.#session(signal, () => backoff.reset());
        } catch (error) {
          if (signal.aborted || isAbort(error)) break;
          if (!(error instanceof AppError) || error.entry.kind !== 'retryable') throw error;
          this.#state = 'catching_up';
          this.#options.onRetry?.(error);
          await backoff.wait(signal).catch(() => {});
        }
      }
      this.#state = 'stopped';
      this.#failure = new AppError('SERVER_GONE', 'the stream was stopped');
    } catch (error) {
      this.#state = 'failed';
      this.#failure = error;
      throw error;
    } finally {
      this.#stream = undefined;
      this.#notify();
    }
  }

  /** One pair of connections, from the durable position on; ends after DDL too, since tables are then read anew. */
  async #session(signal: AbortSignal, onProgress: () => void): Promise<void> {
    const { origin, destination, flavor, database, loadTables } = this.#options;
    const tables = new Map((await loadTables()).map((table) => [table.name, table]));
    await using applier = await Applier.open({ destination, progress: this.#progress });
    const controller = childController(signal);
    try {
      const stream = await ChangeStream.open({
        server: origin,
        flavor,
        from: parsePosition(flavor, applier.startPosition),
        tableOf: (schema, name) => (schema === database ? tables.get(name) : undefined),
        inScope: (schema) => schema === database,
        signal: controller.signal,
        bufferBytesMax: STREAM_BUFFER_BYTES_MAX,
      });
      this.#stream = stream;
      this.#applied = parsePosition(flavor, applier.startPosition);
      this.#notify();
      onProgress();
      await this.#applyUntilDdl(stream, applier, this.#applied, controller.signal);
    } finally {
      this.#stream = undefined;
      // A COMMIT without an answer may have happened: what is applied is known again when the progress row was read.
      this.#applied = undefined;
      controller.abort();
    }
  }

  /**
   * Applies window after window. `applied` moves only after the commit (I3): whoever waits for a position must not be
   * told of transactions that are merely collected. Transactions without changes move it in memory at once, and are made
   * durable with the next window, or when they have waited for `IDLE_PROGRESS_MS`.
   */
  async #applyUntilDdl(
    stream: ChangeStream,
    applier: Applier,
    applied: StreamPosition,
    signal: AbortSignal,
  ): Promise<void> {
    let durable = true;
    let next: StreamTransaction | undefined;
    for (;;) {
      const collected = await this.#collect(stream, signal, {
        first: next,
        waitMs: durable ? undefined : IDLE_PROGRESS_MS,
      });
      const { window } = collected;
      next = collected.alone;
      const idle = window.transactions === 0 && next === undefined;
      if (!window.isEmpty || (idle && !durable)) {
        const position = applied.clone();
        for (const gtid of window.gtids) position.advance(gtid);
        await this.#commit(applier, window, position.toString());
        this.#transactions += window.transactions;
        this.#rowChanges += window.rowChanges;
        durable = true;
      } else if (window.transactions > 0) {
        durable = false;
      }
      for (const gtid of window.gtids) applied.advance(gtid);
      this.#oldestPendingMs = undefined;
      this.#notify();
      if (next?.partial === true) {
        const { isDurable, behind } = await this.#applyLarge(next, { stream, applier, applied, signal });
        durable &&= isDurable;
        next = behind;
      } else if (next !== undefined) {
        await this.#handleDdl(next, applier, applied);
        return;
      }
    }
  }

  /**
   * A transaction that comes in parts, inside one of the destination. Its parts may turn out to be void (see
   * `StreamTransaction`); `behind` is the transaction that has shown it by following them.
   */
  async #applyLarge(
    first: StreamTransaction,
    { stream, applier, applied, signal }: LargeContext,
  ): Promise<{ isDurable: boolean; behind: StreamTransaction | undefined }> {
    const { gtid, committedAtMs } = first;
    this.#oldestPendingMs = committedAtMs;
    const position = applied.clone();
    position.advance(gtid);
    const large = await applier.beginLarge(position.toString(), committedAtMs);
    const tables = new Set<Table>();
    let rowChanges = 0;
    let part = first;
    for (;;) {
      const window = new ApplyWindow();
      window.add(part);
      await large.add(window);
      rowChanges += window.rowChanges;
      for (const table of window.tables.keys()) tables.add(table);
      if (!part.partial) break;
      part = await stream.next(signal);
      if (part.gtid === gtid && !part.ours) continue;
      await large.rollback();
      if (part.gtid !== gtid) return { isDurable: true, behind: part };
      applied.advance(gtid);
      this.#oldestPendingMs = undefined;
      this.#notify();
      return { isDurable: false, behind: undefined };
    }
    await this.#telling(
      () => large.commit(),
      () => this.#options.onAppliedLarge?.(tables),
    );
    this.#transactions += 1;
    this.#rowChanges += rowChanges;
    applied.advance(gtid);
    this.#oldestPendingMs = undefined;
    this.#notify();
    return { isDurable: true, behind: undefined };
  }

  async #commit(applier: Applier, window: ApplyWindow, position: string): Promise<void> {
    await this.#telling(
      () => applier.apply(window, position),
      () => this.#options.onApplied?.(window.tables.values()),
    );
  }

  async #telling(commit: () => Promise<void>, tell: () => void): Promise<void> {
    const told = Promise.withResolvers<void>();
    this.#committing = told.promise;
    try {
      await commit();
    } finally {
      tell();
      told.resolve();
    }
  }

  /**
   * At least one transaction, and what is buffered behind it, up to one that cannot be in a window with others (DDL, or
   * the first part of a large one); nothing when `waitMs` passed first.
   */
  async #collect(
    stream: ChangeStream,
    signal: AbortSignal,
    { first, waitMs }: { first: StreamTransaction | undefined; waitMs: number | undefined },
  ): Promise<{ window: ApplyWindow; alone: StreamTransaction | undefined }> {
    const window = new ApplyWindow();
    let transaction = first ?? stream.tryNext();
    if (transaction === undefined) {
      this.#state = 'running';
      transaction = await stream.nextWithin(waitMs, signal);
    }
    while (transaction !== undefined) {
      if (!transaction.ours) this.#oldestPendingMs ??= transaction.committedAtMs;
      if (transaction.partial || (transaction.ddl !== null && !transaction.ours)) return { window, alone: transaction };
      window.add(transaction);
      const full = window.transactions >= WINDOW_TRANSACTIONS_MAX || window.bytes >= WINDOW_BYTES_MAX;
      transaction = full ? undefined : stream.tryNext();
    }
    return { window, alone: undefined };
  }

  async #handleDdl(transaction: StreamTransaction, applier: Applier, applied: StreamPosition): Promise<void> {
    if (transaction.ddl === null) return;
    await this.#options.onDdl({ ...transaction, ddl: transaction.ddl });
    applied.advance(transaction.gtid);
    const window = new ApplyWindow();
    window.lastCommittedAtMs = transaction.committedAtMs;
    await applier.apply(window, applied.toString());
    this.#notify();
  }

  #notify(): void {
    this.#appliedChanged.resolve();
    this.#appliedChanged = Promise.withResolvers<void>();
  }
}

interface LargeContext {
  stream: ChangeStream;
  applier: Applier;
  applied: StreamPosition;
  signal: AbortSignal;
}
