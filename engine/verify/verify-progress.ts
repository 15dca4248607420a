import type { Side } from '../../core/phase.ts';
import type { VerifyTableView, VerifyView } from '../api.ts';
import type { RowKey } from '../apply/window.ts';
import { rowKey } from '../apply/window.ts';
import type { Column } from '../schema/table.ts';
import type { RowDifference } from './compare-digests.ts';
import { keyText } from './key-text.ts';

const DIFFERENCES_SHOWN_MAX = 100;
/** Known by their keys; more are counted only. */
const DIFFERENCES_KEPT_MAX = 10_000;
const REPORT_INTERVAL_MS = 250;

/** One table's part of the view, as it grows. */
export class TableProgress {
  readonly #view: Omit<VerifyTableView, 'differences' | 'differencesTotal' | 'anew'>;
  readonly #key: readonly Column[];
  readonly #known = new Map<RowKey, RowDifference>();
  /** Found, but not kept; of those that an earlier run of the engine found, some are shown. */
  #unknown = 0;
  #earlier: VerifyTableView['differences'] = [];

  constructor(name: string, key: readonly Column[], chunksTotal: number) {
    this.#key = key;
    this.#view = { name, state: 'waiting', rows: 0, chunksDone: 0, chunksTotal };
  }

  /** As an earlier run of the engine has left it. */
  static restored(stored: VerifyTableView, key: readonly Column[]): TableProgress {
    const { differences, differencesTotal, state, rows, chunksDone, chunksTotal } = stored;
    const progress = new TableProgress(stored.name, key, chunksTotal);
    Object.assign(progress.#view, { state, rows, chunksDone });
    progress.#unknown = differencesTotal;
    progress.#earlier = differences;
    return progress;
  }

  get view(): VerifyTableView {
    const known = [...this.#known.values().take(DIFFERENCES_SHOWN_MAX)];
    const differences = known.map(({ key, ...difference }) => ({ ...difference, key: keyText(this.#key, key) }));
    return {
      ...this.#view,
      differences: [...this.#earlier, ...differences].slice(0, DIFFERENCES_SHOWN_MAX),
      differencesTotal: this.differencesTotal,
      anew: false,
    };
  }

  get chunks(): { done: number; total: number } {
    return { done: this.#view.chunksDone, total: this.#view.chunksTotal };
  }

  get differencesTotal(): number {
    return this.#known.size + this.#unknown;
  }

  /** `chunks` are known by now. */
  started(chunks: number): void {
    this.#view.state = 'verifying';
    this.#view.chunksTotal = Math.max(this.#view.chunksTotal, chunks);
  }

  cut(chunks: number): void {
    this.#view.chunksTotal = chunks;
  }

  chunkDone(rows: number): void {
    this.#view.chunksDone += 1;
    this.#view.rows += rows;
  }

  /** It is compared as a whole by somebody else, who has come so far. */
  follow({ rows, chunksDone, chunksTotal }: Pick<VerifyTableView, 'rows' | 'chunksDone' | 'chunksTotal'>): void {
    Object.assign(this.#view, { state: 'verifying', rows, chunksDone, chunksTotal });
  }

  /** The same row may be found more than once. */
  add(differences: readonly RowDifference[]): void {
    for (const difference of differences) {
      const key = rowKey(difference.key);
      if (this.#known.has(key) || this.#known.size < DIFFERENCES_SHOWN_MAX) this.#known.set(key, difference);
      else if (this.#known.size < DIFFERENCES_KEPT_MAX) this.#known.set(key, { ...difference, values: [] });
      else this.#unknown += 1;
    }
    if (this.#view.state === 'equal') this.ended();
  }

  /** Those that are known by their keys. */
  get known(): ReadonlyMap<RowKey, RowDifference> {
    return this.#known;
  }

  /** These rows are the same by now. Answers how many of them had differed. */
  resolve(keys: Iterable<RowKey>): number {
    let resolved = 0;
    for (const key of keys) if (this.#known.delete(key)) resolved += 1;
    if (resolved > 0 && this.#view.state === 'different') this.ended();
    return resolved;
  }

  /** Nothing of it is open any more. */
  ended(): void {
    this.#view.state = this.differencesTotal === 0 ? 'equal' : 'different';
  }
}

export interface VerifyProgressOptions {
  onProgress: (view: VerifyView) => void;
  startedAtMs: number | undefined;
  primary: Side;
}

/** Puts the view together and shows it, a few times a second at most. `tables`: those that count by now. */
export class VerifyProgress {
  readonly #tablesNow: () => readonly TableProgress[];
  readonly #onProgress: (view: VerifyView) => void;
  readonly #startedAtMs: number;
  readonly #primary: Side;
  /** Of this run: what was done before a pause says nothing of the speed. */
  readonly #fromMs = performance.now();
  readonly #fromChunks: number;
  #shownAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    tables: () => readonly TableProgress[],
    { onProgress, startedAtMs = Date.now(), primary }: VerifyProgressOptions,
  ) {
    this.#tablesNow = tables;
    this.#onProgress = onProgress;
    this.#startedAtMs = startedAtMs;
    this.#primary = primary;
    this.#fromChunks = chunksOf(tables()).done;
  }

  changed(): void {
    const nowMs = performance.now();
    if (nowMs - this.#shownAtMs < REPORT_INTERVAL_MS) return;
    this.#shownAtMs = nowMs;
    this.#onProgress(this.#view('running', null));
  }

  end(state: 'equal' | 'different' | 'failed'): VerifyView {
    const view = this.#view(state, Date.now());
    this.#onProgress(view);
    return view;
  }

  /** A copy: what was shown does not change in the hands of others. */
  #view(state: VerifyView['state'], finishedAtMs: number | null): VerifyView {
    const tables = this.#tablesNow().map(({ view }) => view);
    const rows = tables.reduce((sum, table) => sum + table.rows, 0);
    return {
      state,
      reason: null,
      startedAtMs: this.#startedAtMs,
      finishedAtMs,
      rows,
      tables,
      etaMs: finishedAtMs === null ? this.#etaMs() : null,
      throttled: null,
      rowsPerSecond: null,
      primary: this.#primary,
      position: null,
      recheck: null,
    };
  }

  /** Chunks are of about one size. */
  #etaMs(): number | null {
    const { done, total } = chunksOf(this.#tablesNow());
    const doneHere = done - this.#fromChunks;
    return doneHere <= 0 ? null : Math.round(((performance.now() - this.#fromMs) / doneHere) * (total - done));
  }
}

function chunksOf(tables: readonly TableProgress[]): { done: number; total: number } {
  let done = 0;
  let total = 0;
  for (const { chunks } of tables) {
    done += chunks.done;
    total += chunks.total;
  }
  return { done, total };
}
