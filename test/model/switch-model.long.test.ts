import { expect, test } from 'vitest';
import { explore } from './explore.ts';
import { SwitchWorld, type WorldOptions } from './switch-world.ts';

const DURABLE = { fence: 'durable', directWriter: true, partitions: true, holdAttempts: 1 } as const;

/** With more than one fault it is not always found out: where the one server that was told is away. */
const RESTORES = { ...DURABLE, restores: true, directWriter: false, partitions: false } as const;

/** Millions of states each; what every run explores is in switch-model.test.ts. */
const WORLDS: [string, WorldOptions][] = [
  ['forth and back, one fault', { ...DURABLE, faults: 1, switches: 2 }],
  ['two faults', { ...DURABLE, faults: 2, switches: 1, directWriter: false }],
  [
    'two attempts of the hold, stubborn sessions ended',
    { ...DURABLE, faults: 1, switches: 1, holdAttempts: 2, drainPolicy: 'close-sessions' },
  ],
  ['a lock that ends with the engine', { ...DURABLE, fence: 'lock', faults: 1, switches: 1 }],
  ['a lock, forth and back', { ...DURABLE, fence: 'lock', faults: 1, switches: 2, partitions: false }],
  [
    'no fence, two faults',
    { ...DURABLE, fence: 'none', faults: 2, switches: 1, directWriter: false, partitions: false },
  ],
  ['an old state is put back, one fault', { ...RESTORES, faults: 1, switches: 1 }],
  ['an old state is put back, no fence, one fault', { ...RESTORES, fence: 'none', faults: 1, switches: 1 }],
  ['an old state is put back, forth and back', { ...RESTORES, faults: 0, switches: 2 }],
];

test.each(WORLDS)('every interleaving keeps the invariants: %s', (world, options) => {
  const { states, transitions, violation, truncated } = explore(new SwitchWorld(options), {
    statesMax: 12_000_000,
    restEvery: 10,
  });
  console.log(`switch model, ${world}: ${states} states, ${transitions} transitions`);
  expect({ violation, truncated }).toEqual({ violation: null, truncated: false });
});

const BUGS: [string, WorldOptions][] = [
  [
    'former fence opened before the decision',
    { ...DURABLE, faults: 1, switches: 2, directWriter: false, bug: 'open_before_decision' },
  ],
  [
    'servers told before the decision, and believed',
    { ...RESTORES, faults: 1, switches: 1, markerBug: 'written_before_the_decision' },
  ],
  [
    'an intent that explains what was taken over',
    { ...RESTORES, faults: 1, switches: 1, markerBug: 'intent_explains_what_was_taken_over' },
  ],
];

test.each(BUGS)('a bug put in is found: %s', (_name, options) => {
  expect(explore(new SwitchWorld(options)).violation).not.toBeNull();
});
