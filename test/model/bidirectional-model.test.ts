import { expect, test } from 'vitest';
import { BidirectionalWorld, type BidirectionalBug, type BidirectionalOptions } from './bidirectional-world.ts';
import { explore } from './explore.ts';

const SMALL: BidirectionalOptions = { sourceWrites: 2, targetWrites: 1, crashes: 0, switches: 0, unique: false };

test.each<[string, Partial<BidirectionalOptions>]>([
  ['two writes on the source and one on the target', {}],
  ['one write on the source and two on the target', { sourceWrites: 1, targetWrites: 2 }],
  ['unique values', { unique: true, sourceWrites: 1, targetWrites: 2 }],
  ['an engine that dies', { crashes: 1 }],
  ['a switch', { sourceWrites: 1, targetWrites: 2, switches: 1 }],
  ['a switch and the way back', { sourceWrites: 1, targetWrites: 1, switches: 2, crashes: 1 }],
])(
  'both sides end up the same and no write of a tester is lost without a record: %s',
  (world, options) => {
    const { states, transitions, violation, truncated } = explore(new BidirectionalWorld({ ...SMALL, ...options }));
    console.log(`bidirectional model, ${world}: ${states} states, ${transitions} transitions`);
    expect({ violation, truncated }).toEqual({ violation: null, truncated: false });
  },
  120_000,
);

/** Bugs put in on purpose: each must be found, in the smallest world that shows it. */
const BUGS: Record<BidirectionalBug, Partial<BidirectionalOptions>> = {
  skip_always: {},
  only_applications_count: { sourceWrites: 1, targetWrites: 2 },
  no_repair: {},
  absence_not_locked: {},
  no_before_check: {},
  unique_values_not_counted: { unique: true },
  known_after_restart: { crashes: 1 },
  progress_before_data: { sourceWrites: 0, crashes: 1 },
  reverse_position_anew: { sourceWrites: 1, switches: 1 },
  no_drain: { sourceWrites: 1, switches: 1 },
  no_last_look: { sourceWrites: 1, switches: 1 },
  progress_not_kept: { sourceWrites: 1, targetWrites: 2, switches: 2 },
};

test.each(Object.entries(BUGS))(
  'a bug put in is found: %s',
  (bug, options) => {
    const world = new BidirectionalWorld({ ...SMALL, ...options, bug: bug as BidirectionalBug });
    expect(explore(world).violation).not.toBeNull();
  },
  120_000,
);
