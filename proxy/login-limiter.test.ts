import { expect, test } from 'vitest';
import { systemClock } from '../core/clock.ts';
import { LoginLimiter } from './login-limiter.ts';

test('an address is refused for a minute after its failures, whatever is done to the wall clock', () => {
  let wallMs = Date.now();
  let sinceStartMs = 0;
  const limiter = new LoginLimiter(2, { ...systemClock, nowMs: () => wallMs, monotonicMs: () => sinceStartMs });
  for (let failure = 0; failure < 2; failure += 1) limiter.onFailed('10.0.0.1');
  wallMs += 3_600_000;
  expect(limiter.isBlocked('10.0.0.1')).toBe(true);
  wallMs -= 7_200_000;
  sinceStartMs += 60_000;
  expect(limiter.isBlocked('10.0.0.1')).toBe(false);
  expect(limiter.isBlocked('10.0.0.2')).toBe(false);
});
