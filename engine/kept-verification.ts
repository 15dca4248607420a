import { childController } from '../core/abort.ts';
import { Backoff } from '../core/backoff.ts';
import { AppError } from '../core/errors.ts';
import type { StreamPosition } from '../core/gtid.ts';
import type { CopyThrottle, ServerDefinition, VerifyView } from './api.ts';
import { Throttle } from './copy/throttle.ts';
import type { Table } from './schema/table.ts';
import type { ServerConnection } from './server/connection.ts';
import type { LoggedQuery } from './stream/query-event.ts';
import { statementEffect } from './stream/statement-effect.ts';
import { isSameName } from './stream/stream-scope.ts';
import { mirroredDifference, type RowDifference } from './verify/compare-digests.ts';
import { ComparedTables } from './verify/compared-tables.ts';
import { ConnectionPair, type Flavors } from './verify/connection-pair.ts';
import { DirtyKeys } from './verify/dirty-keys.ts';
import { DirtyRecheck } from './verify/dirty-recheck.ts';
import type { OwnTables } from './stream/stream-scope.ts';
import type { Follower } from './verify/follower.ts';
import { appliedNow } from './verify/recheck-keys.ts';
import { pairAnew } from './verify/pair-anew.ts';
import { repairRows, type RepairResult } from './verify/repair-rows.ts';
import { selfTests } from './verify/prepare-tables.ts';
import { pairTables, targetOf, type Aggregates, type TablePair } from './verify/table-pair.ts';
import type { TableVerification } from './verify/table-verification.ts';
import { ddlSince, touchedSince } from './verify/touched-since.ts';

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
  /** See `touchedSince`. */
  ownTables: () => Promise<OwnTables | undefined>;
  signal: AbortSignal;
  log: (level: 'info' | 'warn', message: string) => void;
  /** Why nothing is compared for now; null: it goes on. */
  onThrottle: (reason: string | null) => void;
  onDifferences: (table: string, differences: RowDifference[]) => void;
  onChanged: () => void;
  /** A table has become pending, or known again. */
  onPending: () => void;
}

export type TableRepair = RepairResult & { table: string };

/** What was compared once, as of a position. */
export interface ComparedState {
  position: StreamPosition;
  /** The imported tables; those that there are by now. */
  names: readonly string[];
  sourceTables: Table[];
  targetTables: Table[];
}

/**
 * One verification from the moment at which its pass begins, or goes on after a restart: hears of every row that is written,
 * has it compared again, and knows what differs. Tables that DDL touches behind the pass are compared anew (`ComparedTables`).
 * Ends with a failure where that is not possible any more.
 */
export class KeptVerification {
  readonly flavors: Flavors;
  readonly #options: KeptVerificationOptions;
  readonly #controller: AbortController;
  readonly #dirty: DirtyKeys;
  readonly #ddl: Disposable;
  readonly #throttle: Throttle;
  readonly #failure = Promise.withResolvers<never>();
  readonly #ready = Promise.withResolvers<DirtyRecheck>();
  readonly #tables: ComparedTables;
  /** Within the pass: what it compares by is of its beginning. */
  #isPassing = true;
  #recheck: DirtyRecheck | undefined;
  /** Something may have been written while nobody listened; touches up to `#gap` are what the log says of it. */
  #mayBeBehind = false;
  #gap: number | undefined;
  #base: StreamPosition | undefined;
  #failed: unknown;

  constructor(options: KeptVerificationOptions) {
    const { follower, source, throttle, signal, log } = options;
    this.#options = options;
    this.flavors = options.flavors;
    this.#controller = childController(signal);
    this.#dirty = new DirtyKeys(follower);
    this.#tables = new ComparedTables(this.#dirty, () => options.onPending());
    this.#ddl = follower.onDdl({
      begins: (ddl) => this.#redefine(ddl),
      ends: (tables) => {
        if (!this.signal.aborted) this.#tables.ended(tables);
      },
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

  /** Tables that are compared anew since DDL touched them. */
  get pending(): string[] {
    return this.#tables.pending;
  }

  get pendingReason(): string | null {
    return this.#tables.pendingReason;
  }

  /** Of what is written behind the position that it resolves with, nothing is missed. */
  async begins(): Promise<StreamPosition> {
    const applied = await appliedSoon(this.#options.follower, this.signal);
    this.#base = applied;
    return applied;
  }

  /** The same for what was written behind `position` before it was made. Rejects as `touchedSince`, or fails of DDL. */
  async heardSince(position: StreamPosition, tables: readonly Table[]): Promise<void> {
    const { source, database, flavors, follower, ownTables } = this.#options;
    await touchedSince({
      server: source,
      flavor: flavors.source,
      from: position,
      until: await appliedSoon(follower, this.signal),
      database,
      tables,
      dirty: this.#dirty,
      ownTables: await ownTables(),
      onDdl: (ddl) => {
        this.#redefine(ddl);
        this.signal.throwIfAborted();
      },
      onRedefined: (table) => this.#tables.redefine(table, null),
      isRedefined: (table) => this.#tables.pairOf(table) === 'later',
      signal: this.signal,
    });
    this.#base = position;
    this.#gap = this.#dirty.mark;
  }

  /** The pass begins; what it finds is in these tables. */
  begin(tables: readonly TableVerification[]): void {
    this.#tables.begin(tables);
    this.#start();
  }

  /** The pass has ended: what DDL touches from now on is compared anew. */
  passed(): void {
    this.#isPassing = false;
  }

  /** There was a pass before; `mayBeBehind`: something may have been written while nobody listened. */
  goOn(view: VerifyView, mayBeBehind: boolean, load: () => Promise<ComparedState>): void {
    this.#mayBeBehind = mayBeBehind;
    this.#isPassing = false;
    this.#tables.restore(view.tables);
    this.#catchUp(load).catch((error: unknown) => {
      if (!this.signal.aborted) this.#fail(error);
    });
  }

  shownIn(view: VerifyView): VerifyView {
    return {
      ...view,
      tables: this.#tables.isEmpty ? view.tables : this.#tables.views,
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

  /**
   * Repairs what is known to differ. `writer` is a session on the target as that of the applier. Rows that are the same
   * behind it do not count as differing any more.
   */
  async repair(asked: { writer: ServerConnection; importId: string; actor: string }): Promise<TableRepair[]> {
    const { source, target, flavors, follower } = this.#options;
    await Promise.race([this.#ready.promise, this.#failure.promise]);
    const { signal } = this;
    using pair = new ConnectionPair({ flavors, source, target, signal });
    const repairs: TableRepair[] = [];
    for (const { pair: table, progress } of this.#tables.known()) {
      if (progress.known.size === 0) continue;
      const keys = new Map([...progress.known].map(([key, difference]) => [key, difference.key]));
      const result = await pair.use((open) =>
        repairRows({ ...asked, pair: open, table, flavors, follower, signal }, keys),
      );
      progress.resolve([...result.repaired, ...result.already]);
      repairs.push({ table: table.name, ...result });
    }
    return repairs;
  }

  /** Differing rows that can be repaired: of others, found before a restart of the engine or past a bound, the text is known at most. */
  get repairable(): number {
    return this.#tables.known().reduce((sum, { progress }) => sum + progress.known.size, 0);
  }

  /** Rows that differ, but for those that a look has found the same since. */
  get differencesTotal(): number {
    return this.#tables.differencesTotal;
  }

  hurry(): Disposable | undefined {
    return this.#recheck?.hurry();
  }

  async drain(signal: AbortSignal): Promise<void> {
    const recheck = await Promise.race([this.#ready.promise, this.#failure.promise, aborted(signal)]);
    await recheck.drain(signal);
  }

  /**
   * As `drain`, however long whole tables take. Rejects with VERIFY_UNSETTLED where single rows are written faster than they
   * can be compared.
   */
  async settle(signal: AbortSignal): Promise<void> {
    for (;;) {
      const deadline = AbortSignal.timeout(SETTLE_MS_MAX);
      try {
        await this.drain(AbortSignal.any([signal, deadline]));
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

  #fail(error: unknown): void {
    this.#failed ??= error;
    this.#failure.reject(error);
    this.#controller.abort();
  }

  /** DDL that is about to be replicated, or was while nobody listened. */
  #redefine(ddl: LoggedQuery): void {
    if (this.signal.aborted) return;
    const { database } = this.#options;
    const effect = statementEffect(ddl);
    // What else it may have changed is not known.
    if (this.#isPassing || effect.kind !== 'tables') {
      this.#fail(ddlSince(ddl.sql));
      return;
    }
    const named = effect.tables.filter(({ schema }) => isSameName(schema, database)).map(({ name }) => name);
    this.#tables.redefineNamed(named, ddl.sql);
  }

  #start(): void {
    const { source, target, flavors, follower, database, onChanged, onDifferences } = this.#options;
    const { signal } = this;
    const tables = this.#tables;
    pairAnew({ tables, database, flavors, source, target, follower, signal }).catch((error: unknown) => {
      if (!signal.aborted) this.#fail(error);
    });
    const recheck = new DirtyRecheck({
      dirty: this.#dirty,
      tables,
      flavors,
      source,
      target,
      follower,
      pace: (signal) => this.pace(signal),
      signal,
      onDifferences: (table, found) => {
        const differences = this.#options.mirrored ? found.map(mirroredDifference) : found;
        tables.add(table, differences);
        onDifferences(table, differences);
      },
      onChanged,
    });
    this.#recheck = recheck;
    this.#ready.resolve(recheck);
    recheck.done.catch((error: unknown) => this.#fail(error));
  }

  /** Servers that are away are waited for. */
  async #catchUp(load: () => Promise<ComparedState>): Promise<void> {
    const backoff = new Backoff({ initialMs: 200, maxMs: 10_000 });
    for (;;) {
      try {
        await this.#catchUpOnce(load);
        return;
      } catch (error) {
        this.signal.throwIfAborted();
        if (!(error instanceof AppError) || error.entry.kind !== 'retryable') throw error;
        this.#options.log('warn', `the verification waits: ${error.message}`);
        await backoff.wait(this.signal);
      }
    }
  }

  async #catchUpOnce(load: () => Promise<ComparedState>): Promise<void> {
    const { source, target, flavors, follower } = this.#options;
    const { signal } = this;
    // From here on it is known which tables are imported as of what is applied, and DDL behind it is heard of.
    await appliedSoon(follower, signal);
    const { position, names, sourceTables, targetTables } = await load();
    using pair = new ConnectionPair({ flavors, source, target, signal });
    const aggregates = await pair.use(async (open) => await selfTests(open, flavors));
    const tables = this.#tables;
    tables.keepOnly(names);
    for (const name of names) {
      if (tables.pending.includes(name)) continue;
      const found = pairIfAlike(
        sourceTables.find((table) => table.name === name),
        targetOf(name, targetTables),
        aggregates,
      );
      // One side may have run a statement that the other has not: it is paired again when both have.
      if (found === undefined) tables.redefine(name, null);
      else tables.paired(found);
    }
    await this.heardSince(position, sourceTables);
    this.#start();
  }
}

function pairIfAlike(
  source: Table | undefined,
  target: Table | undefined,
  aggregates: Aggregates,
): TablePair | undefined {
  if (source === undefined) return undefined;
  try {
    return pairTables(source, target, aggregates);
  } catch (error) {
    if (error instanceof AppError && error.code === 'VERIFY_TABLES_DIFFER') return undefined;
    throw error;
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

async function aborted(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  if (signal.aborted) reject(signal.reason);
  signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  return await promise;
}
