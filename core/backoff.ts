import { systemClock, type Clock } from './clock.ts';

export interface BackoffOptions {
  initialMs?: number;
  maxMs?: number;
  clock?: Clock;
  random?: () => number;
}

/** Exponential back-off with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"). */
export class Backoff {
  #attempt = 0;
  readonly #initialMs: number;
  readonly #maxMs: number;
  readonly #clock: Clock;
  readonly #random: () => number;

  constructor({ initialMs = 100, maxMs = 10_000, clock = systemClock, random = Math.random }: BackoffOptions = {}) {
    this.#initialMs = initialMs;
    this.#maxMs = maxMs;
    this.#clock = clock;
    this.#random = random;
  }

  /** Waits for the next delay; rejects with an `AbortError` when `signal` aborts. */
  async wait(signal: AbortSignal): Promise<void> {
    const ceilingMs = Math.min(this.#maxMs, this.#initialMs * 2 ** this.#attempt);
    this.#attempt += 1;
    await this.#clock.sleep(ceilingMs / 2 + (this.#random() * ceilingMs) / 2, signal);
  }

  reset(): void {
    this.#attempt = 0;
  }
}
