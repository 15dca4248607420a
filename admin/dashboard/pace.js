const WINDOW_MS = 30_000;

/** How fast something grows, by our own clock: that of the server may differ. */
export class Pace {
  #samples = [];

  add(done) {
    const atMs = performance.now();
    if (done < (this.#samples.at(-1)?.done ?? 0)) this.#samples = [];
    this.#samples.push({ atMs, done });
    while (this.#samples[0].atMs < atMs - WINDOW_MS) this.#samples.shift();
  }

  /** Time for `left` more, ms; null while unknown. */
  etaMs(left) {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last.done === first.done || last.atMs === first.atMs) return null;
    return left * ((last.atMs - first.atMs) / (last.done - first.done));
  }
}
