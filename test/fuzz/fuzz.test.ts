import { randomInt } from 'node:crypto';
import { expect, test } from 'vitest';
import { fuzzProxy } from './fuzz-proxy.ts';

const CASES = [1, randomInt(2 ** 31)];

test.for(CASES)('8,000 commands of honest and hostile sessions, seed %s', { timeout: 60_000 }, async (seed) => {
  const report = await fuzzProxy({ seed, cases: 8000 });
  expect(report).toMatchObject({ sessionsLeft: 0, connectionsLeft: 0 });
  expect(report.honestSessions).toBeGreaterThan(40);
  expect(report.hostileSessions).toBeGreaterThan(40);
});
