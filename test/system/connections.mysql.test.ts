import { test } from 'vitest';
import { faultsWhileCopying, faultsWhileRunning, SIDES } from '../support/connection-faults.ts';

// Every fault once; connections.long.test.ts has every fault on either side.

test('running: whatever happens to connections, replication comes back and misses nothing', async () => {
  await faultsWhileRunning((fault) => SIDES.slice(fault % 2, (fault % 2) + 1));
});

test('copying: whatever happens to connections, the copy goes on where it was', async () => {
  await faultsWhileCopying(60_000, (fault) =>
    fault % 2 === 0 ? SIDES.slice((fault / 2) % 2, ((fault / 2) % 2) + 1) : [],
  );
});
