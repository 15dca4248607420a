import { expect, test } from 'vitest';
import type { Table } from '../schema/table.ts';
import type { RowChange, StreamTransaction } from '../stream/transaction.ts';
import { ApplyWindow, rowKey } from './window.ts';

const column = {
  dataType: 'int',
  columnType: 'int',
  charset: null,
  collation: null,
  nullable: false,
  unsigned: false,
  generated: null,
  length: null,
};
const table: Table = {
  schema: 's',
  name: 't',
  columns: [
    { ...column, name: 'id' },
    { ...column, name: 'v' },
  ],
  key: { name: 'PRIMARY', columns: [0] },
  uniqueKeys: [],
  createSql: '',
  rowsEstimate: 0,
  bytes: 0,
};

function window(changes: RowChange[], options: Partial<StreamTransaction> = {}): Map<string, unknown> {
  const result = new ApplyWindow();
  result.add({
    gtid: 'u:1',
    committedAtMs: 1,
    ours: false,
    changes,
    ddl: null,
    bytes: 1,
    partial: false,
    prepared: null,
    ...options,
  });
  return new Map([...(result.tables.get(table)?.rows ?? [])].map(([key, { image }]) => [key, image]));
}

test('insert and update leave one write; anything and delete leaves one delete', () => {
  const rows = window([
    { kind: 'insert', table, after: ['1', 'a'] },
    { kind: 'update', table, before: ['1', 'a'], after: ['1', 'b'] },
    { kind: 'insert', table, after: ['2', 'a'] },
    { kind: 'delete', table, before: ['2', 'a'] },
  ]);
  expect(rows).toEqual(
    new Map<string, unknown>([
      ['1', ['1', 'b']],
      ['2', null],
    ]),
  );
});

test('a changed key is the old key deleted and the new one written', () => {
  const rows = window([{ kind: 'update', table, before: ['1', 'a'], after: ['9', 'a'] }]);
  expect(rows).toEqual(
    new Map<string, unknown>([
      ['1', null],
      ['9', ['9', 'a']],
    ]),
  );
});

test('delete and insert of one key leaves the write', () => {
  const rows = window([
    { kind: 'delete', table, before: ['1', 'a'] },
    { kind: 'insert', table, after: ['1', 'c'] },
  ]);
  expect(rows).toEqual(new Map([['1', ['1', 'c']]]));
});

test('our own transactions move the position and write nothing (I7)', () => {
  const result = new ApplyWindow();
  result.add({
    gtid: 'u:5',
    committedAtMs: 1,
    ours: true,
    changes: [{ kind: 'insert', table, after: ['1', 'a'] }],
    ddl: null,
    bytes: 1,
    partial: false,
    prepared: null,
  });
  expect(result.isEmpty).toBe(true);
  expect(result.gtids).toEqual(['u:5']);
});

test('an image without its key stops (I4)', () => {
  expect(() => window([{ kind: 'delete', table, before: [undefined, 'a'] }])).toThrow(/without its key column id/);
});

test('keys of several parts are not confused by their borders', () => {
  expect(rowKey(['ab', 'c'])).not.toBe(rowKey(['a', 'bc']));
  expect(rowKey(['1:a', 'b'])).not.toBe(rowKey(['1', ':ab']));
});

test('what existed before the window is told from what the window began with', () => {
  const result = new ApplyWindow();
  const changes: RowChange[] = [
    { kind: 'insert', table, after: ['1', 'new'] },
    { kind: 'update', table, before: ['1', 'new'], after: ['1', 'newer'] },
    { kind: 'update', table, before: ['2', 'a'], after: ['2', 'b'] },
    { kind: 'update', table, before: ['3', 'a'], after: ['4', 'a'] },
    { kind: 'delete', table, before: ['5', 'a'] },
    { kind: 'insert', table, after: ['5', 'again'] },
    { kind: 'insert', table, after: ['6', 'a'] },
    { kind: 'delete', table, before: ['6', 'a'] },
  ];
  result.add({
    gtid: 'u:1',
    committedAtMs: 1,
    ours: false,
    changes,
    ddl: null,
    bytes: 1,
    partial: false,
    prepared: null,
  });
  const states = [...(result.tables.get(table)?.rows.values() ?? [])];
  expect(states.map(({ key, image, existed }) => [key[0], image?.[1] ?? null, existed])).toEqual([
    ['1', 'newer', false],
    ['2', 'b', true],
    ['3', null, true],
    ['4', 'a', false],
    ['5', 'again', true],
    ['6', null, false],
  ]);
});

test('a row that changes again and again costs the window no more memory', () => {
  const result = new ApplyWindow();
  const change: RowChange = { kind: 'update', table, before: ['1', 'a'], after: ['1', 'b'.repeat(1000)] };
  const transaction = {
    gtid: 'u:1',
    committedAtMs: 1,
    ours: false,
    changes: [change],
    ddl: null,
    bytes: 1,
    partial: false,
    prepared: null,
  };
  result.add(transaction);
  const { bytes } = result;
  for (let i = 0; i < 100; i += 1) result.add(transaction);
  expect(result.bytes).toBe(bytes);
  expect(bytes).toBeGreaterThan(1000);
});
