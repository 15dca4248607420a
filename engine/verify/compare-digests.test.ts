import { expect, test } from 'vitest';
import { mirroredDifference } from './compare-digests.ts';

test('a difference that was found with the sides exchanged is told in the terms of the import', () => {
  const values = [{ column: 'name', source: 'on the target', target: null }];
  const found = { key: ['7'], columns: [], values };
  // The followed side has it, and is the target: the row is one too many there.
  expect(mirroredDifference({ ...found, kind: 'missing' })).toEqual({
    key: ['7'],
    kind: 'extra',
    columns: [],
    values: [{ column: 'name', source: null, target: 'on the target' }],
  });
  expect(mirroredDifference({ ...found, kind: 'extra' }).kind).toBe('missing');
  expect(mirroredDifference({ ...found, kind: 'different' }).kind).toBe('different');
});
