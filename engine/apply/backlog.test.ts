import { expect, test } from 'vitest';
import { isBehind } from './backlog.ts';

test('behind: many transactions, or much in some of them; not one large transaction alone', () => {
  expect(isBehind(false, { transactions: 1999, bytes: 1e6 })).toBe(false);
  expect(isBehind(false, { transactions: 2000, bytes: 1e6 })).toBe(true);
  expect(isBehind(false, { transactions: 1, bytes: 64e6 })).toBe(false);
  expect(isBehind(false, { transactions: 50, bytes: 64e6 })).toBe(true);
});

test('close again only when little waits: not to and fro between the thresholds', () => {
  expect(isBehind(true, { transactions: 1000, bytes: 1e5 })).toBe(true);
  expect(isBehind(true, { transactions: 10, bytes: 4e6 })).toBe(true);
  expect(isBehind(true, { transactions: 200, bytes: 1e6 })).toBe(false);
  expect(isBehind(true, { transactions: 0, bytes: 0 })).toBe(false);
});
