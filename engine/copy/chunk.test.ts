import fc from 'fast-check';
import { expect, test } from 'vitest';
import { gapsOf, type Chunk } from './chunk.ts';

test('nothing done: the whole table is one gap', () => {
  expect(gapsOf([])).toEqual([{ lower: null, upper: null, seqFrom: 0, seqTo: Number.POSITIVE_INFINITY }]);
});

test('done and gaps together cover every key once, whichever chunks are done', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.infiniteStream(fc.boolean()),
      fc.boolean(),
      (count, isDone, ended) => {
        const all: Chunk[] = Array.from({ length: count }, (_, seq) => ({
          seq,
          lower: seq === 0 ? null : [String(seq)],
          upper: ended && seq === count - 1 ? null : [String(seq + 1)],
        }));
        const done = all.filter(() => isDone.next().value === true);
        const pieces = [...done.map((chunk) => ({ ...chunk, seqFrom: chunk.seq })), ...gapsOf(done)].sort(
          (a, b) => a.seqFrom - b.seqFrom,
        );
        expect(pieces[0]?.lower).toBeNull();
        expect(pieces.at(-1)?.upper).toBeNull();
        for (const [i, piece] of pieces.entries()) if (i > 0) expect(piece.lower).toEqual(pieces[i - 1]?.upper);
      },
    ),
  );
});
