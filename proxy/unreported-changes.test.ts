import { expect, test } from 'vitest';
import type { StatementEffect } from './statement-effects.ts';
import { UnreportedChanges } from './unreported-changes.ts';

const COUNTS: readonly StatementEffect[] = [{ kind: 'found-rows' }];

test('a client whose statements are never answered with an OK packet: the server is asked now and then', () => {
  const unreported = new UnreportedChanges();
  let asked = 0;
  let most = 0;
  for (let statement = 0; statement < 1000; statement += 1) {
    unreported.onUntold(COUNTS);
    if (!unreported.isToBeAsked) continue;
    asked += 1;
    most = Math.max(most, unreported.take().length);
  }
  expect(asked).toBeGreaterThan(0);
  expect(asked).toBeLessThan(50);
  expect(most).toBeLessThan(200);
});

test.each<[string, readonly StatementEffect[], boolean]>([
  ['sets a variable', [{ kind: 'sets-state' }], true],
  ['may call a function', [{ kind: 'calls-functions', names: [{ schema: null, name: 'f' }] }], true],
  ['does neither', COUNTS, false],
])('a statement that %s: asked at once or not', (_what, effects, isAsked) => {
  const unreported = new UnreportedChanges();
  unreported.onUntold(effects);
  expect(unreported.isToBeAsked).toBe(isAsked);
  expect(unreported.isDue).toBe(true);
  unreported.clear();
  expect(unreported.isDue).toBe(false);
});
