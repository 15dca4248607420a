import { expect, test } from 'vitest';
import { parsePosition } from '../../core/gtid.ts';
import type { Column, Table } from '../schema/table.ts';
import type { RowChange } from '../stream/transaction.ts';
import { WrittenKeys } from './written-keys.ts';

const UUID = '11111111-1111-1111-1111-111111111111';
const upTo = (last: number) => parsePosition('mysql', `${UUID}:1-${last}`);
const gtid = (number: number) => `${UUID}:${number}`;

const column = (name: string, dataType: string): Column => ({
  name,
  dataType,
  columnType: dataType,
  charset: dataType === 'varchar' ? 'utf8mb4' : null,
  collation: dataType === 'varchar' ? 'utf8mb4_0900_ai_ci' : null,
  nullable: true,
  unsigned: false,
  generated: null,
  length: null,
});
const table = (type: string): Table => ({
  schema: 'd',
  name: `of_${type}`,
  columns: [column('id', type), column('u', 'int')],
  key: { name: 'PRIMARY', columns: [0] },
  uniqueKeys: [{ name: 'u', columns: [1], whole: true }],
  createSql: '',
  rowsEstimate: 0,
  bytes: 0,
});
const INT = table('int');
const TEXT = table('varchar');
const insert = (id: string, u: string | null, of = INT): RowChange => ({ kind: 'insert', table: of, after: [id, u] });

function written(...changes: RowChange[]): WrittenKeys {
  const keys = new WrittenKeys(upTo(10));
  keys.note(changes, gtid(11));
  keys.advance([gtid(11)]);
  return keys;
}

test('a key counts as written for whoever has not seen the transaction', () => {
  const keys = written(insert('1', '5'));
  expect(keys.isWrittenSince(upTo(10), [insert('1', null)])).toBe(true);
  expect(keys.isWrittenSince(upTo(11), [insert('1', null)])).toBe(false);
  expect(keys.isWrittenSince(upTo(10), [insert('2', null)])).toBe(false);
});

test('unique values count, old and new', () => {
  const keys = written(insert('1', '5'));
  const gives: RowChange = { kind: 'update', table: INT, before: ['2', '5'], after: ['2', '6'] };
  expect(keys.isWrittenSince(upTo(10), [gives])).toBe(true);
  expect(keys.isWrittenSince(upTo(10), [insert('2', '5')])).toBe(true);
  expect(keys.isWrittenSince(upTo(10), [insert('2', null)])).toBe(false);
});

test('where bytes do not tell keys apart, the table is the key', () => {
  const keys = written(insert('a', null, TEXT));
  expect(keys.isWrittenSince(upTo(10), [insert('b', null, TEXT)])).toBe(true);
  expect(keys.isWrittenSince(upTo(10), [insert('1', null)])).toBe(false);
});

test('what is not known counts as written', () => {
  const keys = new WrittenKeys(upTo(10));
  expect(keys.isWrittenSince(null, [insert('1', null)])).toBe(true);
  expect(keys.isWrittenSince(upTo(9), [insert('1', null)])).toBe(true);
  expect(keys.isWrittenSince(upTo(10), [insert('1', null)])).toBe(false);
});

test('forgetting makes older places unknown, not unwritten', () => {
  const keys = new WrittenKeys(upTo(10), 4);
  for (let number = 11; number <= 30; number += 1) {
    keys.note([insert(String(number), null)], gtid(number));
    keys.advance([gtid(number)]);
    for (let seen = 10; seen < number; seen += 1)
      expect(keys.isWrittenSince(upTo(seen), [insert(String(seen + 1), null)])).toBe(true);
  }
  expect(keys.isWrittenSince(upTo(30), [insert('30', null)])).toBe(false);
  // More in one transaction than there is room for: nothing before its end is known.
  keys.note(
    Array.from({ length: 9 }, (_, id) => insert(String(100 + id), null)),
    gtid(31),
  );
  expect(keys.isWrittenSince(upTo(30), [insert('7', null)])).toBe(true);
  keys.advance([gtid(31)]);
  expect(keys.isWrittenSince(upTo(30), [insert('7', null)])).toBe(true);
  expect(keys.isWrittenSince(upTo(31), [insert('7', null)])).toBe(false);
});
