const WINDOW_MS = 30_000;

/**
 * How fast something grows, measured here and with our own clock: a view says how far the copy is, not since when,
 * and the clock of the server may differ from ours.
 */
export class Pace {
  readonly #now: () => number;
  #samples: { atMs: number; done: number }[] = [];

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  add(done: number): void {
    const atMs = this.#now();
    // Less than before: something else is being counted now.
    if (done < (this.#samples.at(-1)?.done ?? 0)) this.#samples = [];
    this.#samples.push({ atMs, done });
    while ((this.#samples[0]?.atMs ?? atMs) < atMs - WINDOW_MS) this.#samples.shift();
  }

  /** Time for `left` more, ms; null while unknown. */
  etaMs(left: number): number | null {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.done === first.done || last.atMs === first.atMs) return null;
    return left * ((last.atMs - first.atMs) / (last.done - first.done));
  }
}
