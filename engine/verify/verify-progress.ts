import type { VerifyTableView, VerifyView } from '../api.ts';
import type { Column } from '../schema/table.ts';
import type { RowDifference } from './compare-digests.ts';
import { keyText } from './key-text.ts';

const DIFFERENCES_SHOWN_MAX = 100;
const REPORT_INTERVAL_MS = 250;

/** One table's part of the view, as it grows. */
export class TableProgress {
  readonly view: VerifyTableView;
  readonly #key: readonly Column[];

  constructor(name: string, key: readonly Column[], chunksTotal: number) {
    this.#key = key;
    this.view = { name, state: 'waiting', rows: 0, chunksDone: 0, chunksTotal, differences: [], differencesTotal: 0 };
  }

  /** `chunks` are known by now. */
  started(chunks: number): void {
    this.view.state = 'verifying';
    this.view.chunksTotal = Math.max(this.view.chunksTotal, chunks);
  }

  cut(chunks: number): void {
    this.view.chunksTotal = chunks;
  }

  chunkDone(rows: number): void {
    this.view.chunksDone += 1;
    this.view.rows += rows;
  }

  add(differences: readonly RowDifference[]): void {
    this.view.differencesTotal += differences.length;
    for (const { key, kind, columns } of differences) {
      if (this.view.differences.length >= DIFFERENCES_SHOWN_MAX) return;
      this.view.differences.push({ key: keyText(this.#key, key), kind, columns });
    }
  }

  /** Nothing of it is open any more. */
  ended(): void {
    this.view.state = this.view.differencesTotal === 0 ? 'equal' : 'different';
  }
}

/** Puts the view together and shows it, a few times a second at most. */
export class VerifyProgress {
  readonly #tables: readonly TableProgress[];
  readonly #onProgress: (view: VerifyView) => void;
  readonly #startedAtMs = Date.now();
  #shownAtMs = Number.NEGATIVE_INFINITY;

  constructor(tables: readonly TableProgress[], onProgress: (view: VerifyView) => void) {
    this.#tables = tables;
    this.#onProgress = onProgress;
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
    const tables = this.#tables.map(({ view }) => ({ ...view, differences: [...view.differences] }));
    const rows = tables.reduce((sum, table) => sum + table.rows, 0);
    return { state, startedAtMs: this.#startedAtMs, finishedAtMs, rows, tables };
  }
}
