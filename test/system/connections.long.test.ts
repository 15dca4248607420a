import { test } from 'vitest';
import { faultsWhileCopying, faultsWhileRunning, SIDES } from '../support/connection-faults.ts';

test('running: every fault on either side', async () => {
  await faultsWhileRunning(() => SIDES);
});

test('copying: every fault on either side', async () => {
  await faultsWhileCopying(150_000, () => SIDES);
});
