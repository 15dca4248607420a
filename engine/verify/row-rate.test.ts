import { expect, test } from 'vitest';
import { RowRate } from './row-rate.ts';

test('what was compared is waited for, and time that nobody used is not saved up', async () => {
  let nowMs = 0;
  const clock = {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: async (ms: number) => {
      nowMs += ms;
    },
  };
  const rate = new RowRate(1000, clock);
  const { signal } = new AbortController();
  await rate.pass(signal);
  expect(nowMs).toBe(0);
  rate.spent(500);
  rate.spent(500);
  await rate.pass(signal);
  expect(nowMs).toBe(1000);
  nowMs = 60_000;
  rate.spent(100);
  await rate.pass(signal);
  expect(nowMs).toBe(60_100);
});
