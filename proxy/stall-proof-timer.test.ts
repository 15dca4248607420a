import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startStallProofTimer } from './stall-proof-timer.ts';

test('the time is up after it has passed, but not for a stall of this process; once stopped, never', async () => {
  let fired = 0;
  const timedOut = Promise.withResolvers<void>();
  startStallProofTimer(50, () => {
    fired += 1;
    timedOut.resolve();
  });
  const stop = startStallProofTimer(50, () => (fired += 100));
  stop();
  const until = performance.now() + 120;
  while (performance.now() < until);
  await new Promise((resolve) => setImmediate(resolve));
  expect(fired).toBe(0);
  await timedOut.promise;
  await delay(60);
  expect(fired).toBe(1);
});
