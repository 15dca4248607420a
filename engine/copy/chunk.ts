import type { Bound, KeyRange } from './key-range.ts';

/** A piece of a table that lands in one transaction. Numbers grow with the key; (lower, upper] of neighbours touch. */
export interface Chunk extends KeyRange {
  seq: number;
}

/** What is not done: to be cut into chunks numbered from `seqFrom` to at most `seqTo`. */
export interface Gap extends KeyRange {
  seqFrom: number;
  seqTo: number;
}

/**
 * What is left of a table after the chunks `done`, in any order. Several were under way at once, so there may be gaps
 * between them; their numbers say where, so that no bounds need to be compared outside the server.
 */
export function gapsOf(done: readonly Chunk[]): Gap[] {
  const gaps: Gap[] = [];
  let lower: Bound | null = null;
  let next = 0;
  for (const chunk of [...done].sort((a, b) => a.seq - b.seq)) {
    if (chunk.seq > next) gaps.push({ lower, upper: chunk.lower, seqFrom: next, seqTo: chunk.seq - 1 });
    if (chunk.upper === null) return gaps;
    lower = chunk.upper;
    next = chunk.seq + 1;
  }
  gaps.push({ lower, upper: null, seqFrom: next, seqTo: Number.POSITIVE_INFINITY });
  return gaps;
}
