/** One answer that a client waited for; times are of the wall clock, ms. */
export interface Wait {
  sentAtMs: number;
  waitedMs: number;
}

/** Of `waits`, those that were not answered yet when something began, and were sent before it ended. */
export function waitsDuring(waits: readonly Wait[], { fromMs, toMs }: { fromMs: number; toMs: number }): Wait[] {
  return waits.filter(({ sentAtMs, waitedMs }) => sentAtMs <= toMs && sentAtMs + waitedMs >= fromMs);
}

/**
 * The longest time that each session waited for one answer, as its client saw it: from sending a statement to its
 * result, connecting anew included. A switch's pause is read from a window laid around it.
 */
export class PauseMeter {
  readonly #longestMs: number[];
  readonly #waitingSinceMs: (number | undefined)[];
  #windowStartMs = 0;
  /** Of this window; none are kept before the first one. */
  #waits: Wait[] | undefined;

  constructor(sessions: number) {
    this.#longestMs = Array.from({ length: sessions }, () => 0);
    this.#waitingSinceMs = this.#longestMs.map(() => undefined);
  }

  started(session: number): void {
    this.#waitingSinceMs[session] ??= performance.now();
  }

  answered(session: number): void {
    const since = this.#waitingSinceMs[session];
    this.#waitingSinceMs[session] = undefined;
    if (since === undefined) return;
    this.#note(session, performance.now() - since);
  }

  /** Forgets what was measured before; a wait under way still counts from its start. */
  beginWindow(): void {
    this.#longestMs.fill(0);
    this.#waits = [];
    this.#windowStartMs = performance.now();
  }

  /** Per session, the longest wait since `beginWindow`, waits under way included, ms. */
  endWindow(): { longestMs: number[]; windowMs: number; waits: Wait[] } {
    const now = performance.now();
    for (const [session, since] of this.#waitingSinceMs.entries()) {
      if (since !== undefined) this.#note(session, now - since);
    }
    const waits = this.#waits ?? [];
    this.#waits = undefined;
    return { longestMs: [...this.#longestMs], windowMs: now - this.#windowStartMs, waits };
  }

  #note(session: number, ms: number): void {
    if (ms > (this.#longestMs[session] ?? 0)) this.#longestMs[session] = ms;
    this.#waits?.push({ sentAtMs: Date.now() - ms, waitedMs: ms });
  }
}
