import { setTimeout as delay } from 'node:timers/promises';
import { abortable, childController, isAbort } from '../../core/abort.ts';
import { Backoff } from '../../core/backoff.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { StreamPosition } from '../../core/gtid.ts';
import type { ServerDefinition, VerifyRecheckView } from '../api.ts';
import { asPaired, isLasting, type PairedContext } from './as-paired.ts';
import type { RowDifference } from './compare-digests.ts';
import type { ComparedTables } from './compared-tables.ts';
import { ConnectionPair, type Flavors } from './connection-pair.ts';
import type { DirtyKeys } from './dirty-keys.ts';
import type { Follower } from './follower.ts';
import { appliedNow, KEYS_MAX, keyBatches, recheckKeys, type Keys } from './recheck-keys.ts';
import type { RowRate } from './row-rate.ts';
import type { TablePair } from './table-pair.ts';
import { TableVerification } from './table-verification.ts';

/** A row that is written again and again is compared once in that time, not each time. */
const GATHER_MS = 500;
/** Of the time, at most one part in `REST + 1` is spent with statements. */
const REST = 3;
const CHUNK_BYTES = 4 * 1024 * 1024;
/** Looks at what was written while a whole table was compared, before it is left to the single keys. */
const SETTLE_ROUNDS = 5;

export interface DirtyRecheckOptions {
  dirty: DirtyKeys;
  tables: ComparedTables;
  flavors: Flavors;
  source: ServerDefinition;
  target: ServerDefinition;
  follower: Follower;
  /** Resolves when the servers are well enough for more. */
  pace: (signal: AbortSignal) => Promise<void>;
  /** For whole tables, as long as there is one. */
  rate?: () => RowRate | undefined;
  signal: AbortSignal;
  onDifferences: (table: string, differences: RowDifference[]) => void;
  onChanged: () => void;
  chunkBytes?: number;
}

/**
 * Keeps a verification true: compares what replication has written since, all the time and with little of the servers'
 * (ADR 20). `position` says up to where in the source's history every change has been compared.
 */
export class DirtyRecheck {
  readonly #options: DirtyRecheckOptions;
  readonly #controller: AbortController;
  /** Rejects with what cannot be compared any more; resolves when stopped. */
  readonly done: Promise<void>;
  #hurried = 0;
  #urgent = 0;
  #wake = Promise.withResolvers<void>();
  #ended = Promise.withResolvers<void>();
  #compared = 0;
  #position: StreamPosition | undefined;
  /** What is being waited for: once every touch up to `mark` is answered, `position` is everything in `applied`. */
  #next: { mark: number; applied: StreamPosition } | undefined;

  constructor(options: DirtyRecheckOptions) {
    this.#options = options;
    this.#controller = childController(options.signal);
    this.done = this.#run(this.#controller.signal);
    this.done.catch(() => {});
  }

  /** Undefined while it is not known. */
  get position(): StreamPosition | undefined {
    return this.#position;
  }

  get view(): VerifyRecheckView {
    const { dirty } = this.#options;
    const oldestMs = dirty.oldestMs;
    return {
      keys: dirty.size,
      tables: dirty.everyTables(),
      behindMs: oldestMs === null ? null : Math.round(oldestMs),
      compared: this.#compared,
    };
  }

  /** Until it is disposed of, nothing is gathered and nobody rests; urgent: nor are the servers spared by whole tables. */
  hurry({ isUrgent }: { isUrgent: boolean }): Disposable {
    const urgent = isUrgent ? 1 : 0;
    this.#hurried += 1;
    this.#urgent += urgent;
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
    return {
      [Symbol.dispose]: () => {
        this.#hurried -= 1;
        this.#urgent -= urgent;
      },
    };
  }

  /** Resolves when everything that was touched before the call has been compared, and no table is pending. Rejects when `signal` aborts first. */
  async drain(signal: AbortSignal, how: { isUrgent: boolean }): Promise<void> {
    using _hurry = this.hurry(how);
    const { dirty, follower, tables } = this.#options;
    const applied = await appliedNow(follower);
    const { mark } = dirty;
    while (!dirty.isAnswered(mark) || tables.pending.length > 0) {
      await abortable(Promise.race([this.#ended.promise, this.done]), signal);
      this.#controller.signal.throwIfAborted();
    }
    if (applied !== undefined) this.#position = applied;
  }

  async stop(): Promise<void> {
    this.#controller.abort();
    await this.done.catch(() => {});
  }

  get #paired(): PairedContext {
    const { flavors, follower, tables } = this.#options;
    return { isPaired: (table) => tables.isPaired(table), flavors, follower, signal: this.#controller.signal };
  }

  async #run(signal: AbortSignal): Promise<void> {
    try {
      await Promise.all([
        this.#looping(signal, async (pair) => await this.#keysRound(pair, signal)),
        this.#looping(signal, async (pair) => await this.#tablesRound(pair, signal)),
      ]);
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      throw error;
    } finally {
      this.#controller.abort();
      this.#ended.resolve();
    }
  }

  /** Servers and replication that are away are waited for: what is dirty stays so meanwhile. */
  async #looping(signal: AbortSignal, round: (pair: ConnectionPair) => Promise<void>): Promise<void> {
    const { flavors, source, target } = this.#options;
    const backoff = new Backoff({ initialMs: 50, maxMs: 5000 });
    using pair = new ConnectionPair({ flavors, source, target, signal });
    for (;;) {
      try {
        await this.#gather(signal);
        await round(pair);
        backoff.reset();
      } catch (error) {
        signal.throwIfAborted();
        if (isLasting(error)) throw error;
        await backoff.wait(signal);
      }
      this.#endRound();
    }
  }

  async #gather(signal: AbortSignal): Promise<void> {
    if (this.#hurried > 0) {
      // Hot rows are looked at again at once, but not without a breath.
      await delay(2, undefined, { signal });
      return;
    }
    const ended = childController(signal);
    const sleep = delay(GATHER_MS, undefined, { signal: ended.signal }).catch(() => {});
    await abortable(Promise.race([sleep, this.#wake.promise]), signal);
    ended.abort();
  }

  async #keysRound(pair: ConnectionPair, signal: AbortSignal): Promise<void> {
    const { dirty, pace, tables } = this.#options;
    const found = dirty.keys(dirty.mark);
    if (found.size > 0) await failpoint('verify.recheck');
    for (const [name, keys] of found) {
      const table = tables.pairOf(name);
      if (table === 'later') continue;
      if (table === undefined) {
        dirty.answer(name, keys.keys(), dirty.mark);
        continue;
      }
      for (const batch of keyBatches(keys, KEYS_MAX)) {
        if (this.#hurried === 0) await pace(signal);
        await this.#resting(signal, async () => await this.#compare(pair, table, batch));
      }
    }
    await this.#takeMark();
  }

  async #compare(pair: ConnectionPair, table: TablePair, keys: Keys): Promise<void> {
    const { dirty, flavors, follower, onDifferences } = this.#options;
    const { signal } = this.#controller;
    const { mark } = dirty;
    const result = await asPaired(this.#paired, pair, table, async () =>
      pair.use(async (open) => await recheckKeys({ pair: open, table, flavors, follower, signal }, keys)),
    );
    if (result === undefined) return;
    const { differences, unsure } = result;
    const sure = [...keys.keys()].filter((key) => !unsure.has(key));
    // Told before it is answered: whoever waits for the answer must know of the difference by then.
    if (differences.length > 0) onDifferences(table.name, differences);
    dirty.answer(table.name, sure, mark);
    this.#compared += sure.length;
  }

  /** Tables of which any row may have changed, as a whole. */
  async #tablesRound(pair: ConnectionPair, signal: AbortSignal): Promise<void> {
    const { dirty, tables } = this.#options;
    for (const name of dirty.everyTables()) {
      const { mark } = dirty;
      const table = tables.pairOf(name);
      if (table === 'later') continue;
      const isCompared =
        table === undefined ||
        (await asPaired(this.#paired, pair, table, () => this.#compareTable(pair, table, signal)));
      if (isCompared === true) dirty.answerEvery(name, mark);
    }
  }

  /** False where DDL came in between. */
  async #compareTable(pair: ConnectionPair, table: TablePair, signal: AbortSignal): Promise<boolean> {
    const { dirty, flavors, follower, pace, tables, onDifferences, rate, chunkBytes = CHUNK_BYTES } = this.#options;
    const verification = new TableVerification(table, {
      chunkBytes,
      onFound: (found) => {
        if (tables.isPaired(table)) onDifferences(table.name, found);
      },
    });
    const context = { flavors, follower, signal };
    for (;;) {
      if (this.#urgent === 0) {
        await pace(signal);
        await rate?.()?.pass(signal);
      }
      const range = await pair.use(({ source }) => verification.nextChunk(source));
      if (!tables.isPaired(table)) return false;
      if (range === null) break;
      await this.#resting(signal, async () => {
        const rows = await pair.use((open) => verification.check({ ...context, pair: open }, range));
        rate?.()?.spent(rows);
      });
      tables.comparing(table.name, verification.progress.view);
    }
    const backoff = new Backoff({ initialMs: 5, maxMs: 500 });
    for (let round = 0; round < SETTLE_ROUNDS && verification.unsure.size > 0; round += 1) {
      await backoff.wait(signal);
      await pair.use((open) => verification.settle({ ...context, pair: open }));
    }
    if (!tables.isPaired(table)) return false;
    // What nobody has logged (`some`) is not found in the log: the position does not pass it.
    if (verification.unsure.size > 0) this.#next = undefined;
    dirty.touch(
      table.name,
      [...verification.unsure].map(([key, values]) => ({ key, values })),
    );
    this.#compared += verification.progress.view.rows;
    tables.comparing(table.name, verification.progress.view);
    tables.compared(table.name);
    return true;
  }

  async #resting(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    const startedAtMs = performance.now();
    await work();
    this.#options.onChanged();
    if (this.#hurried > 0) return;
    const ended = childController(signal);
    const rest = delay((performance.now() - startedAtMs) * REST, undefined, { signal: ended.signal }).catch(() => {});
    await abortable(Promise.race([rest, this.#wake.promise]), signal);
    ended.abort();
  }

  #endRound(): void {
    const { dirty, tables } = this.#options;
    tables.settle();
    if (this.#next !== undefined && dirty.isAnswered(this.#next.mark)) {
      this.#position = this.#next.applied;
      this.#next = undefined;
    }
    this.#ended.resolve();
    this.#ended = Promise.withResolvers<void>();
  }

  /** All of `applied` has been told of, so its touches have numbers up to the mark that is read behind it. */
  async #takeMark(): Promise<void> {
    if (this.#next !== undefined) return;
    const { follower, dirty } = this.#options;
    const applied = await appliedNow(follower);
    if (applied !== undefined) this.#next = { mark: dirty.mark, applied };
  }
}
