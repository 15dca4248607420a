import type { ProxyMetrics } from './session-metrics.ts';

/** The command of one session that waits for the end of a hold, and its limit. */
export class HoldWait {
  readonly #metrics: ProxyMetrics;
  readonly #timeoutMs: number;
  readonly #onTimeout: () => void;
  #since: number | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { metrics: ProxyMetrics; timeoutMs: number; onTimeout: () => void }) {
    this.#metrics = options.metrics;
    this.#timeoutMs = options.timeoutMs;
    this.#onTimeout = options.onTimeout;
  }

  /** Since when a command waits, monotonic; null: none does. */
  get since(): number | null {
    return this.#since;
  }

  begin(): void {
    if (this.#since !== null) return;
    this.#since = performance.now();
    this.#timer = setTimeout(this.#onTimeout, this.#timeoutMs);
  }

  /** The command goes. */
  end(): void {
    if (this.#since === null) return;
    this.#metrics.holdSeconds.observe((performance.now() - this.#since) / 1000);
    this.cancel();
  }

  cancel(): void {
    this.#since = null;
    clearTimeout(this.#timer);
  }
}
