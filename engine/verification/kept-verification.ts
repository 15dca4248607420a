import { abortable, childController } from '../../core/abort.ts';
import { Backoff } from '../../core/backoff.ts';
import { AppError } from '../../core/errors.ts';
import type { StreamPosition } from '../../core/gtid.ts';
import type { CopyThrottle, ServerDefinition, VerifyView } from '../api.ts';
import { Throttle } from '../copy/throttle.ts';
import type { LoggedQuery } from '../stream/query-event.ts';
import { statementEffect } from '../stream/statement-effect.ts';
import { isSameName, type OwnTables } from '../stream/stream-scope.ts';
import { mirroredDifference, type RowDifference } from '../verify/compare-digests.ts';
import { ComparedTables } from '../verify/compared-tables.ts';
import type { Flavors } from '../verify/connection-pair.ts';
import { DirtyKeys } from '../verify/dirty-keys.ts';
import { DirtyRecheck } from '../verify/dirty-recheck.ts';
import type { Follower } from '../verify/follower.ts';
import { pairAnew } from '../verify/pair-anew.ts';
import { appliedNow } from '../verify/recheck-keys.ts';
import type { RowRate } from '../verify/row-rate.ts';
import type { TableVerification } from '../verify/table-verification.ts';
import { ddlSince, touchedSince } from '../verify/touched-since.ts';

/** For rows that change all the time. */
const SETTLE_MS_MAX = 60_000;

export interface KeptVerificationOptions {
  /** The primary, whose writes are followed, and the other side: `target` before the switch, `source` behind it. */
  source: ServerDefinition;
  target: ServerDefinition;
  /** Whether it is that way round: what is found is told in the terms of the import. */
  mirrored: boolean;
  database: string;
  flavors: Flavors;
  throttle: CopyThrottle;
  follower: Follower;
  /** The imported tables, as of what is applied. */
  names: () => readonly string[];
  /** See `touchedSince`. */
  ownTables: () => Promise<OwnTables | undefined>;
  /** Of `source`: see `StreamScope`. */
  isOwnImport?: (importId: string) => boolean;
  signal: AbortSignal;
  log: (level: 'info' | 'warn', message: string) => void;
  /** Why nothing is compared for now; null: it goes on. */
  onThrottle: (reason: string | null) => void;
  onDifferences: (table: string, differences: RowDifference[]) => void;
  onChanged: () => void;
  /** A table has become pending, or known again. */
  onPending: () => void;
}

/**
 * One verification from the moment at which its pass begins, or goes on after a restart: hears of every row that is written,
 * has it compared again, and knows what differs. Tables that DDL touches are compared anew (`ComparedTables`), within the pass and
 * behind it. Ends with a failure where that is not possible any more.
 */
export class KeptVerification {
  readonly options: KeptVerificationOptions;
  readonly tables: ComparedTables;
  readonly #controller: AbortController;
  readonly #dirty: DirtyKeys;
  readonly #ddl: Disposable;
  readonly #throttle: Throttle;
  readonly #failure = Promise.withResolvers<never>();
  readonly #ready = Promise.withResolvers<DirtyRecheck>();
  #isPairing = false;
  /** What is known is in `tables`. */
  #isTold = false;
  #recheck: DirtyRecheck | undefined;
  /** Within a pass. */
  #rate: RowRate | undefined;
  /** Something may have been written while nobody listened; touches up to `#gap` are what the log says of it. */
  #mayBeBehind = false;
  #gap: number | undefined;
  #base: StreamPosition | undefined;
  #failed: unknown;

  constructor(options: KeptVerificationOptions) {
    const { follower, source, throttle, signal, log } = options;
    this.options = options;
    this.#controller = childController(signal);
    this.#dirty = new DirtyKeys(follower);
    this.tables = new ComparedTables(this.#dirty, () => options.onPending());
    const hear = <T>(tell: (told: T) => void) => {
      return (told: T) => {
        if (!this.signal.aborted) tell(told);
      };
    };
    this.#ddl = follower.onDdl({
      begins: hear((ddl) => this.#redefine(ddl)),
      ends: hear((outcome) => this.tables.ended(outcome)),
      imported: hear((names) => {
        if (!this.tables.isEmpty) this.tables.keepOnly(names);
      }),
    });
    this.#throttle = new Throttle({
      server: source,
      limits: throttle,
      onChange: (reason) => {
        options.onThrottle(reason);
        if (reason === null) log('info', 'the verification goes on');
        else log('warn', `the verification compares nothing for now: ${reason}`);
      },
    });
    this.#failure.promise.catch(() => {});
    this.#ready.promise.catch(() => {});
  }

  /** Aborts when it is stopped or has failed. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get failure(): unknown {
    return this.#failed;
  }

  /** Rejects with what it failed of. */
  get done(): Promise<never> {
    return this.#failure.promise;
  }

  /** Everything in it has been compared, if what was there before has. */
  get position(): StreamPosition | undefined {
    return this.#recheck?.position ?? this.#base;
  }

  /** What was written while nobody listened has not been looked up and compared yet. */
  get isBehind(): boolean {
    return this.#mayBeBehind && (this.#gap === undefined || !this.#dirty.isAnswered(this.#gap));
  }

  /** Of what is written behind the position that it resolves with, nothing is missed. */
  async begins(): Promise<StreamPosition> {
    const applied = await appliedSoon(this.options.follower, this.signal);
    this.#base = applied;
    return applied;
  }

  /** For a pass: resolves when the imported tables are paired. */
  async pairTables(): Promise<void> {
    const { follower, names } = this.options;
    // From here on it is known which tables are imported as of what is applied, and DDL behind it is heard of.
    await appliedSoon(follower, this.signal);
    this.tables.expect(names());
    await this.#allPaired();
  }

  /** The same for what was written behind `position` before it was made. Rejects as `touchedSince`, or fails of DDL. */
  async heardSince(position: StreamPosition): Promise<void> {
    const { source, database, flavors, follower, ownTables, isOwnImport } = this.options;
    const { tables } = this;
    // One that is paired again meanwhile is of no interest all the same: it is compared as a whole behind this.
    const redefined = new Set(tables.unpaired);
    const note = () => {
      for (const name of tables.unpaired) redefined.add(name);
    };
    await touchedSince({
      server: source,
      flavor: flavors.source,
      from: position,
      until: await appliedSoon(follower, this.signal),
      database,
      tables: [...tables.known()].map(({ pair }) => pair.source.table),
      dirty: this.#dirty,
      ownTables: await ownTables(),
      isOwnImport,
      onDdl: (ddl) => {
        this.#redefine(ddl);
        this.signal.throwIfAborted();
        note();
      },
      onRedefined: (table) => {
        tables.redefine(table, null);
        note();
      },
      isRedefined: (table) => redefined.has(table),
      signal: this.signal,
    });
    this.#base = position;
    this.#gap = this.#dirty.mark;
  }

  /** The pass begins; what it finds is in these tables. `rate`: also for those that are compared anew within it. */
  begin(tables: readonly TableVerification[], rate: RowRate | undefined): void {
    this.#rate = rate;
    this.#isTold = true;
    this.tables.begin(tables);
    this.#start();
  }

  passed(): void {
    this.#rate = undefined;
  }

  /** There was a pass before, up to `position`; `mayBeBehind`: something may have been written while nobody listened. */
  goOn(view: VerifyView, { position, mayBeBehind }: { position: StreamPosition; mayBeBehind: boolean }): void {
    this.#mayBeBehind = mayBeBehind;
    this.#isTold = true;
    this.tables.restore(view.tables);
    this.#catchUp(position).catch((error: unknown) => {
      if (!this.signal.aborted) this.fail(error);
    });
  }

  shownIn(view: VerifyView): VerifyView {
    const tables = this.#isTold ? this.tables.views : view.tables;
    return {
      ...view,
      tables,
      rows: tables.reduce((sum, { rows }) => sum + rows, 0),
      position: this.position?.toString() ?? view.position,
      recheck: this.#recheck?.view ?? {
        keys: this.#dirty.size,
        tables: this.#dirty.everyTables(),
        behindMs: null,
        compared: 0,
      },
    };
  }

  async pace(signal: AbortSignal): Promise<void> {
    await this.#throttle.pass(signal);
  }

  /** Rows cannot be compared any more, or it would say nothing. */
  fail(error: unknown): void {
    this.#failed ??= error;
    this.#failure.reject(error);
    this.#controller.abort();
  }

  /** Resolves when rows can be compared. */
  async isReady(): Promise<void> {
    await Promise.race([this.#ready.promise, this.#failure.promise]);
  }

  hurry(): Disposable | undefined {
    return this.#recheck?.hurry({ isUrgent: true });
  }

  async drain(signal: AbortSignal, { isUrgent = true } = {}): Promise<void> {
    const recheck = await abortable(Promise.race([this.#ready.promise, this.#failure.promise]), signal);
    await recheck.drain(signal, { isUrgent });
  }

  /**
   * As `drain`, however long whole tables take. Rejects with VERIFY_UNSETTLED where single rows are written faster than they
   * can be compared.
   */
  async settle(signal: AbortSignal): Promise<void> {
    for (;;) {
      const deadline = AbortSignal.timeout(SETTLE_MS_MAX);
      try {
        await this.drain(AbortSignal.any([signal, deadline]), { isUrgent: false });
        return;
      } catch (error) {
        if (signal.aborted || !deadline.aborted) throw error;
        if (this.#dirty.everyTables().length > 0) continue;
        throw new AppError(
          'VERIFY_UNSETTLED',
          `${this.#dirty.size} rows were written faster than they could be compared: ${[...this.#dirty.keys(this.#dirty.mark).keys()].join(', ')}`,
          { cause: error },
        );
      }
    }
  }

  async stop(): Promise<void> {
    this.#controller.abort();
    this.#ddl[Symbol.dispose]();
    await this.#recheck?.stop();
    this.#dirty[Symbol.dispose]();
    await this.#throttle[Symbol.asyncDispose]();
  }

  /** DDL that is about to be replicated, or was while nobody listened. */
  #redefine(ddl: LoggedQuery): void {
    const { database } = this.options;
    const effect = statementEffect(ddl);
    // What else it may have changed is not known.
    if (effect.kind !== 'tables') {
      this.fail(ddlSince(ddl.sql));
      return;
    }
    const named = effect.tables.filter(({ schema }) => isSameName(schema, database)).map(({ name }) => name);
    this.tables.redefineNamed(named, ddl.sql);
  }

  async #allPaired(): Promise<void> {
    const { tables, signal } = this;
    if (!this.#isPairing) {
      this.#isPairing = true;
      pairAnew({ ...this.options, tables, signal }).catch((error: unknown) => {
        if (!signal.aborted) this.fail(error);
      });
    }
    while (tables.awaitsPairs) await abortable(tables.nextPairs(), signal);
  }

  #start(): void {
    const { onChanged, onDifferences, mirrored } = this.options;
    const { signal, tables } = this;
    const recheck = new DirtyRecheck({
      ...this.options,
      dirty: this.#dirty,
      tables,
      pace: (signal) => this.pace(signal),
      rate: () => this.#rate,
      signal,
      onDifferences: (table, found) => {
        const differences = mirrored ? found.map(mirroredDifference) : found;
        tables.add(table, differences);
        onDifferences(table, differences);
      },
      onChanged,
    });
    this.#recheck = recheck;
    this.#ready.resolve(recheck);
    recheck.done.catch((error: unknown) => this.fail(error));
  }

  /** Servers that are away are waited for. */
  async #catchUp(position: StreamPosition): Promise<void> {
    const { follower, names, log } = this.options;
    const backoff = new Backoff({ initialMs: 200, maxMs: 10_000 });
    for (;;) {
      try {
        await appliedSoon(follower, this.signal);
        this.tables.keepOnly(names());
        await this.#allPaired();
        await this.heardSince(position);
        this.#start();
        return;
      } catch (error) {
        this.signal.throwIfAborted();
        if (!(error instanceof AppError) || error.entry.kind !== 'retryable') throw error;
        log('warn', `the verification waits: ${error.message}`);
        await backoff.wait(this.signal);
      }
    }
  }
}

/** Once replication runs. */
async function appliedSoon(follower: Follower, signal: AbortSignal): Promise<StreamPosition> {
  const backoff = new Backoff({ initialMs: 20, maxMs: 1000 });
  for (;;) {
    const applied = await appliedNow(follower);
    if (applied !== undefined) return applied;
    await backoff.wait(signal);
  }
}
