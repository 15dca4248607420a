import { expect, test } from 'vitest';
import { enumMembers, numbersMeanIndexes } from './enum-members.ts';
import type { Column } from './table.ts';

function column(columnType: string, charset = 'utf8mb4'): Column {
  const dataType = columnType.slice(0, columnType.indexOf('('));
  return {
    name: 'e',
    dataType,
    columnType,
    charset,
    collation: null,
    nullable: true,
    unsigned: false,
    generated: null,
    length: null,
  };
}

test('members with commas, quotes and parentheses are kept apart', () => {
  expect(enumMembers(column("enum('a','b,c','it''s','(x)','')"))).toEqual(['a', 'b,c', "it''s", '(x)', '']);
});

test('members that look like numbers, and wide charsets, make text numbers ambiguous', () => {
  expect(numbersMeanIndexes(column("enum('a','b')"))).toBe(true);
  expect(numbersMeanIndexes(column("set('a','1')"))).toBe(false);
  expect(numbersMeanIndexes(column("enum('a','b')", 'utf16'))).toBe(false);
});
