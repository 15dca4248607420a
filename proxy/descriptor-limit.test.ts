import { expect, test } from 'vitest';
import { sessionsWithin, sessionsWithinDescriptorLimit } from './descriptor-limit.ts';

const line = (soft: string) =>
  `Max processes  95  95  processes\nMax open files            ${soft}   524288   files \n`;

test('a session takes three descriptors; unlimited and unknown are no limit', () => {
  expect(sessionsWithin(line('1024'))).toBe(308);
  expect(sessionsWithin(line('64'))).toBe(1);
  expect(sessionsWithin(line('unlimited'))).toBeNull();
  expect(sessionsWithin('')).toBeNull();
});

test('this machine tells its own', async () => {
  if (process.platform === 'linux') expect(await sessionsWithinDescriptorLimit()).toBeGreaterThan(0);
});
