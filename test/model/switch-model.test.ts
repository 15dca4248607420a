import { expect, test } from 'vitest';
import type { Step, SwitchRules } from '../../engine/switch/protocol.ts';
import { explore } from './explore.ts';
import { SwitchWorld, type WorldOptions } from './switch-world.ts';

/** Small enough for every run; the larger worlds are in switch-model.long.test.ts. */
const WORLD: WorldOptions = {
  fence: 'durable',
  directWriter: true,
  partitions: true,
  faults: 1,
  switches: 1,
  holdAttempts: 1,
};

const NO_FENCE: Partial<WorldOptions> = { fence: 'none', directWriter: false, partitions: false };

function explored(options: Partial<WorldOptions>, restEvery: number) {
  const { states, ...result } = explore(new SwitchWorld({ ...WORLD, ...options }), { restEvery });
  return { states, ...result };
}

test.each<[string, Partial<WorldOptions>]>([
  ['a durable fence, a writer past the proxies, a proxy that is cut off', {}],
  ['no fence: the hold alone keeps every write that goes through the proxies', NO_FENCE],
])(
  'every interleaving of a switch with one fault keeps the invariants: %s',
  (world, options) => {
    const { states, transitions, violation, truncated } = explored(options, 5);
    console.log(`switch model, ${world}: ${states} states, ${transitions} transitions`);
    expect({ violation, truncated }).toEqual({ violation: null, truncated: false });
  },
  120_000,
);

/** Moves `step` in the course behind `behind`. */
const moved =
  (step: Step, behind: Step) =>
  (rules: SwitchRules): SwitchRules => {
    const course = rules.course.filter((other) => other !== step);
    return { ...rules, course: course.toSpliced(course.indexOf(behind) + 1, 0, step) };
  };
const without =
  (step: Step) =>
  (rules: SwitchRules): SwitchRules => ({
    ...rules,
    course: rules.course.filter((other) => other !== step),
    undo: rules.undo.filter((other) => other !== step),
  });

/** An old state is put back. Nothing but the hold and what the servers tell keeps writes; then the fence too. */
const RESTORES: Partial<WorldOptions> = { restores: true, faults: 0, directWriter: false, partitions: false };

test.each<[string, Partial<WorldOptions>]>([
  ['no fence', { ...RESTORES, fence: 'none' }],
  ['a durable fence', RESTORES],
])(
  'an old state that is put back sends no write to the wrong side: %s',
  (world, options) => {
    const { states, transitions, violation, truncated } = explored(options, 5);
    console.log(`switch model, an old state, ${world}: ${states} states, ${transitions} transitions`);
    expect({ violation, truncated }).toEqual({ violation: null, truncated: false });
  },
  120_000,
);

/** Bugs put in on purpose: each must be found, in the smallest world that shows it. */
const BUGS: Record<string, Partial<WorldOptions>> = {
  'position read before the fence': { faults: 0, change: moved('position', 'seal') },
  'fence skipped': { faults: 0, change: without('fence'), bug: 'fence_not_checked' },
  'not caught up': { faults: 0, change: without('catch_up') },
  'way back without a claim': { partitions: false, directWriter: false, change: without('claim') },
  'fence left behind': { faults: 0, change: without('lower_fence') },
  'statements of the way there not ended': { faults: 0, change: without('end_statements') },
  'decision without compare-and-set': { partitions: false, directWriter: false, bug: 'decide_without_compare_and_set' },
  'release on a guess after an unknown decision': {
    partitions: false,
    change: without('claim'),
    bug: 'undo_after_decision',
  },
  'recovery that undoes after the decision': { partitions: false, directWriter: false, bug: 'undo_after_decision' },
  'stray watch begun too late': { faults: 0, fence: 'none', bug: 'stray_watch_too_late' },
  'progress ahead of the data': { bug: 'progress_ahead_of_data' },
  'reverse position taken after the release': { faults: 0, bug: 'reverse_after_release' },
  'proxy that releases itself after the seal': { ...NO_FENCE, faults: 0, bug: 'proxy_releases_after_seal' },
  'hold not sealed': { ...NO_FENCE, faults: 0, change: without('seal') },
  'proxies not asked again after the seal': { ...NO_FENCE, faults: 0, change: without('confirm') },
  'servers not told of a decision': { ...RESTORES, markerBug: 'not_written' },
  'an old state that asks nobody': { ...RESTORES, markerBug: 'not_asked' },
  'an old state that recovers its switch first': { ...RESTORES, markerBug: 'asked_behind_the_recovery' },
  'proxies that serve an old route at once': { ...RESTORES, fence: 'none', markerBug: 'proxies_do_not_wait' },
};

test.each(Object.entries(BUGS))(
  'a bug put in is found: %s',
  (_name, options) => {
    expect(explored(options, 3).violation).not.toBeNull();
  },
  60_000,
);
