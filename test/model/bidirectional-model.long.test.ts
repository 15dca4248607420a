import { expect, test } from 'vitest';
import { BidirectionalWorld, type BidirectionalOptions } from './bidirectional-world.ts';
import { explore } from './explore.ts';

test.each<BidirectionalOptions>([
  { sourceWrites: 2, targetWrites: 2, crashes: 0, switches: 0, unique: false },
  { sourceWrites: 1, targetWrites: 2, crashes: 1, switches: 1, unique: false },
  { sourceWrites: 1, targetWrites: 2, crashes: 0, switches: 2, unique: false },
  { sourceWrites: 1, targetWrites: 2, crashes: 1, switches: 0, unique: true },
])(
  'both sides end up the same: %o',
  (options) => {
    const { states, transitions, violation, truncated } = explore(new BidirectionalWorld(options));
    console.log(`bidirectional model: ${states} states, ${transitions} transitions`);
    expect({ violation, truncated }).toEqual({ violation: null, truncated: false });
  },
  600_000,
);
