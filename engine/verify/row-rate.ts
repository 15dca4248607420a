import type { Clock } from '../../core/clock.ts';

/** At most so many rows a second, on average over what has passed. Chunks are not cut for it: a large one is waited out. */
export class RowRate {
  readonly #rowsPerSecond: number;
  readonly #clock: Clock;
  #freeAtMs: number;

  constructor(rowsPerSecond: number, clock: Clock) {
    this.#rowsPerSecond = rowsPerSecond;
    this.#clock = clock;
    this.#freeAtMs = clock.monotonicMs();
  }

  spent(rows: number): void {
    // Time that nobody used is not saved up.
    this.#freeAtMs = Math.max(this.#freeAtMs, this.#clock.monotonicMs()) + (rows / this.#rowsPerSecond) * 1000;
  }

  async pass(signal: AbortSignal): Promise<void> {
    const waitMs = this.#freeAtMs - this.#clock.monotonicMs();
    if (waitMs > 0) await this.#clock.sleep(waitMs, signal);
  }
}
