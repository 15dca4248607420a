import { expect, test } from 'vitest';
import { explore } from './explore.ts';
import { SwitchWorld, type WorldOptions } from './switch-world.ts';

const DURABLE = { fence: 'durable', directWriter: true, partitions: true, holdAttempts: 1 } as const;

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
];

test.each(WORLDS)('every interleaving keeps the invariants: %s', (world, options) => {
  const { states, transitions, violation, truncated } = explore(new SwitchWorld(options), {
    statesMax: 12_000_000,
    restEvery: 10,
  });
  console.log(`switch model, ${world}: ${states} states, ${transitions} transitions`);
  expect({ violation, truncated }).toEqual({ violation: null, truncated: false });
});

test('a bug put in is found: former fence opened before the decision', () => {
  const options: WorldOptions = {
    ...DURABLE,
    faults: 1,
    switches: 2,
    directWriter: false,
    bug: 'open_before_decision',
  };
  expect(explore(new SwitchWorld(options)).violation).not.toBeNull();
});
