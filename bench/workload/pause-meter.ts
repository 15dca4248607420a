/**
 * The longest time that each session waited for one answer, as its client saw it: from sending a statement to its
 * result, connecting anew included. A switch's pause is read from a window laid around it.
 */
export class PauseMeter {
  readonly #longestMs: number[];
  readonly #waitingSinceMs: (number | undefined)[];
  #windowStartMs = 0;

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
    if (since !== undefined) this.#note(session, performance.now() - since);
  }

  /** Forgets what was measured before; a wait under way still counts from its start. */
  beginWindow(): void {
    this.#longestMs.fill(0);
    this.#windowStartMs = performance.now();
  }

  /** Per session, the longest wait since `beginWindow`, waits under way included, ms. */
  endWindow(): { longestMs: number[]; windowMs: number } {
    const now = performance.now();
    for (const [session, since] of this.#waitingSinceMs.entries()) {
      if (since !== undefined) this.#note(session, now - since);
    }
    return { longestMs: [...this.#longestMs], windowMs: now - this.#windowStartMs };
  }

  #note(session: number, ms: number): void {
    if (ms > (this.#longestMs[session] ?? 0)) this.#longestMs[session] = ms;
  }
}
