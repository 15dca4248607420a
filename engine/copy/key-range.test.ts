import { expect, test } from 'vitest';
import type { Column } from '../schema/table.ts';
import { rangePredicate } from './key-range.ts';

function column(name: string, dataType: string, columnType = dataType, charset: string | null = null): Column {
  return {
    name,
    dataType,
    columnType,
    charset,
    collation: null,
    nullable: false,
    unsigned: false,
    generated: null,
    length: null,
  };
}

test('a composite key keeps its leading column in a range', () => {
  const key = [column('a', 'int'), column('b', 'varchar', 'varchar(9)', 'latin1')];
  expect(rangePredicate(key, { lower: ['1', "x'"], upper: ['5', '\xe9'] })).toBe(
    " WHERE `a` >= 1 AND (`a` > 1 OR `a` = 1 AND `b` > _latin1'x\\'') AND `a` <= 5 AND (`a` < 5 OR `a` = 5 AND `b` <= _latin1'\xe9')",
  );
});

test('open ends are left out', () => {
  const key = [column('a', 'int')];
  expect(rangePredicate(key, { lower: null, upper: null })).toBe('');
  expect(rangePredicate(key, { lower: ['7'], upper: null })).toBe(' WHERE `a` > 7');
});

test('an ENUM is compared by a list of its indexes', () => {
  const key = [column('e', 'enum', "enum('a','b','c')", 'latin1')];
  expect(rangePredicate(key, { lower: ['1'], upper: ['2'] })).toBe(' WHERE `e` IN (2,3) AND `e` IN (0,1,2)');
  expect(rangePredicate(key, { lower: ['3'], upper: null })).toBe(' WHERE FALSE');
});
