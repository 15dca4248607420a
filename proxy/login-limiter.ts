import { systemClock, type Clock } from '../core/clock.ts';

interface Failures {
  count: number;
  sinceMs: number;
}

const WINDOW_MS = 60_000;
/** Beyond it the oldest are forgotten (I8). */
const ADDRESSES_MAX = 10_000;

/** Counts failed logins by address: guessing passwords ends, for a minute, at `max` of them. */
export class LoginLimiter {
  readonly #max: number;
  readonly #clock: Clock;
  readonly #failures = new Map<string, Failures>();

  constructor(max: number, clock: Clock = systemClock) {
    this.#max = max;
    this.#clock = clock;
  }

  isBlocked(address: string): boolean {
    const known = this.#failures.get(address);
    return known !== undefined && known.count >= this.#max && this.#clock.monotonicMs() - known.sinceMs < WINDOW_MS;
  }

  onFailed(address: string): void {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#failures.get(address);
    const isRecent = known !== undefined && nowMs - known.sinceMs < WINDOW_MS;
    this.#failures.delete(address);
    this.#failures.set(address, isRecent ? { ...known, count: known.count + 1 } : { count: 1, sinceMs: nowMs });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > ADDRESSES_MAX && oldest !== undefined) this.#failures.delete(oldest);
  }

  onAccepted(address: string): void {
    this.#failures.delete(address);
  }
}
