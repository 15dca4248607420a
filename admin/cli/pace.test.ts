import { expect, test } from 'vitest';
import { Pace } from './pace.ts';

test('time left by the pace of the last half minute', () => {
  let nowMs = 0;
  const pace = new Pace(() => nowMs);
  expect(pace.etaMs(10)).toBe(null);
  pace.add(0);
  nowMs = 1000;
  pace.add(100);
  expect(pace.etaMs(200)).toBe(2000);
  nowMs = 60_000;
  pace.add(100);
  nowMs = 61_000;
  pace.add(110);
  expect(pace.etaMs(20)).toBe(2000);
});

test('counting something else begins anew', () => {
  let nowMs = 0;
  const pace = new Pace(() => nowMs);
  pace.add(500);
  nowMs = 1000;
  pace.add(5);
  expect(pace.etaMs(10)).toBe(null);
});
