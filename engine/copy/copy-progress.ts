import type { TableView } from '../api.ts';
import type { Clock } from '../../core/clock.ts';

/** How far one table is. Rows and bytes are those that have landed. */
export interface TableProgress extends TableView {
  bytes: number;
}

/** Counts of one table, with the time that is left by the speed so far of this run. */
export class TableProgressMeter {
  readonly #name: string;
  readonly #clock: Clock;
  readonly #rowsEstimate: number;
  #rows = 0;
  #bytes = 0;
  #rowsThisRun = 0;
  #startedAtMs: number | null = null;
  #state: TableView['state'] = 'waiting';

  constructor(name: string, rowsEstimate: number, clock: Clock) {
    this.#name = name;
    this.#rowsEstimate = rowsEstimate;
    this.#clock = clock;
  }

  /** Landed in an earlier run. */
  resumed(rows: number, bytes: number): void {
    this.#rows += rows;
    this.#bytes += bytes;
  }

  started(): void {
    if (this.#state === 'waiting') this.#state = 'copying';
    this.#startedAtMs ??= this.#clock.monotonicMs();
  }

  landed(rows: number, bytes: number): void {
    this.#rows += rows;
    this.#bytes += bytes;
    this.#rowsThisRun += rows;
  }

  finished(): void {
    this.#state = 'copied';
  }

  get view(): TableProgress {
    const done = this.#state === 'copied';
    // An estimate that has been passed is no total any more.
    const rowsTotal = done ? this.#rows : Math.max(this.#rowsEstimate, this.#rows);
    return {
      name: this.#name,
      rowsTotal,
      rowsCopied: this.#rows,
      bytes: this.#bytes,
      state: this.#state,
      etaMs: done ? 0 : this.#etaMs(rowsTotal),
    };
  }

  #etaMs(rowsTotal: number): number | null {
    if (this.#startedAtMs === null || this.#rowsThisRun === 0) return null;
    const elapsedMs = this.#clock.monotonicMs() - this.#startedAtMs;
    return Math.round((elapsedMs / this.#rowsThisRun) * (rowsTotal - this.#rows));
  }
}
