import { expect, test } from 'vitest';
import { percentile } from './percentile.ts';

test('nearest rank', () => {
  expect(percentile([], 0.5)).toBe(0);
  expect(percentile([7], 0.99)).toBe(7);
  expect(percentile([3, 1, 2], 0.5)).toBe(2);
  expect(
    percentile(
      Array.from({ length: 100 }, (_, index) => index + 1),
      0.99,
    ),
  ).toBe(99);
});
