import type { PublishedEvent } from '../core/control/protocol.ts';
import type { StreamView } from '../engine/api.ts';

export interface LagSample {
  /** How long ago, since the reader's clock may differ from ours. */
  ageMs: number;
  forwardMs: number | null;
  reverseMs: number | null;
}

type Sample = Omit<LagSample, 'ageMs'> & { atMs: number };

const SAMPLE_EVERY_MS = 1000;
const SAMPLES_MAX = 900;
const IMPORTS_MAX = 20;

/** The lag of the last quarter of an hour, so that the graph is there when the dashboard is opened. */
export class LagHistory {
  readonly #samples = new Map<string, Sample[]>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  observe(event: PublishedEvent): void {
    if (event.kind !== 'import') return;
    const streams = (event.view as { streams?: StreamView[] }).streams ?? [];
    if (streams.every(({ lagMs }) => lagMs === null)) return;
    const samples = this.#samplesOf(event.importId);
    const atMs = this.#now();
    if (atMs - (samples.at(-1)?.atMs ?? -Infinity) < SAMPLE_EVERY_MS) return;
    const lagOf = (direction: StreamView['direction']) =>
      streams.find((stream) => stream.direction === direction)?.lagMs ?? null;
    samples.push({ atMs, forwardMs: lagOf('forward'), reverseMs: lagOf('reverse') });
    if (samples.length > SAMPLES_MAX) samples.shift();
  }

  of(importId: string): LagSample[] {
    const nowMs = this.#now();
    return (this.#samples.get(importId) ?? []).map(({ atMs, ...lag }) => ({ ageMs: nowMs - atMs, ...lag }));
  }

  #samplesOf(importId: string): Sample[] {
    const known = this.#samples.get(importId);
    if (known !== undefined) return known;
    const [oldest] = this.#samples.keys();
    if (this.#samples.size >= IMPORTS_MAX && oldest !== undefined) this.#samples.delete(oldest);
    const samples: Sample[] = [];
    this.#samples.set(importId, samples);
    return samples;
  }
}
