import { expect, test } from 'vitest';
import { textTable } from './text-table.ts';

test('columns are aligned, numbers to the right', () => {
  const columns = [{ title: 'name' }, { title: 'rows', align: 'right' as const }];
  expect(
    textTable(columns, [
      ['orders', '12'],
      ['a', '1,000'],
    ]),
  ).toBe('NAME     ROWS\norders     12\na       1,000');
});

test('a name from a database cannot steer the terminal', () => {
  expect(textTable([{ title: 'x' }], [['\u001b[2Jgone\nnext\u0007']])).toBe('X\ngone next');
});
