import { expect, test } from 'vitest';
import { LoginGate } from './login-gate.ts';

test('so many at a time, in the order in which they came; a failed one hands its place on', async () => {
  const gate = new LoginGate(2);
  const begun: number[] = [];
  const ends = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
  const runs = ends.map(async ({ promise }, index) =>
    gate.run(async () => {
      begun.push(index);
      await promise;
      return index;
    }),
  );
  const outcomes = Promise.allSettled(runs);
  expect(begun).toEqual([0, 1]);
  ends[1]?.reject(new Error('refused'));
  await runs[1]?.catch(() => undefined);
  expect(begun).toEqual([0, 1, 2]);
  for (const { resolve } of ends) resolve();
  expect((await outcomes).map(({ status }) => status)).toEqual([
    'fulfilled',
    'rejected',
    'fulfilled',
    'fulfilled',
    'fulfilled',
  ]);
  expect(begun).toEqual([0, 1, 2, 3, 4]);
  expect(await gate.run(async () => 'free again')).toBe('free again');
});
