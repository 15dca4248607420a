import { expect, test } from 'vitest';
import type { Column, Table } from '../schema/table.ts';
import type { RowChange } from '../stream/transaction.ts';
import { sharesOf, splitShares } from './lane-split.ts';
import type { TableShare } from './table-statements.ts';
import { ApplyWindow } from './window.ts';

const column = (name: string, change: Partial<Column> = {}): Column => ({
  name,
  dataType: 'int',
  columnType: 'int',
  charset: null,
  collation: null,
  nullable: false,
  unsigned: false,
  generated: null,
  length: null,
  ...change,
});

function table(name: string, change: Partial<Table> = {}): Table {
  return {
    schema: 's',
    name,
    columns: [column('id'), column('v')],
    key: { name: 'PRIMARY', columns: [0] },
    uniqueKeys: [],
    createSql: '',
    rowsEstimate: 0,
    bytes: 0,
    ...change,
  };
}

const text = { dataType: 'varchar', charset: 'utf8mb4', collation: 'utf8mb4_bin' };

function shareOf(of: Table, rows: number): TableShare {
  const states = Array.from({ length: rows }, (_, id) => ({
    key: [String(id)],
    image: [String(id), '0'],
    existed: true,
  }));
  return { table: of, states };
}

test('a table whose rows have nothing to do with each other is divided evenly, and no row twice or never', () => {
  const lanes = splitShares([shareOf(table('plain'), 10_000)], 4);
  expect(lanes.map((shares) => shares.reduce((sum, { states }) => sum + states.length, 0))).toEqual(
    Array(4).fill(2500),
  );
  expect(new Set(lanes.flat().flatMap(({ states }) => states.map(({ key }) => key[0]))).size).toBe(10_000);
});

test.each([
  ['another unique key', { uniqueKeys: [{ name: 'u', columns: [1], whole: true }] }],
  ['a key compared by collation', { columns: [column('id', text), column('v')] }],
  ['a key with two zeros', { columns: [column('id', { dataType: 'double' }), column('v')] }],
  ['a key that is no primary key', { key: { name: 'other', columns: [0] } }],
] satisfies [string, Partial<Table>][])('a table with %s is one lane’s, whole', (_, change) => {
  const whole = shareOf(table('whole', change), 10_000);
  const lanes = splitShares([whole, shareOf(table('plain'), 10_000)], 4);
  const mine = lanes.flat().filter((share) => share.table === whole.table);
  expect(mine).toEqual([whole]);
});

test('few rows are not worth several transactions', () => {
  const lanes = splitShares([shareOf(table('plain'), 100)], 4);
  expect(lanes.filter((shares) => shares.length > 0)).toHaveLength(1);
});

test('rows in the order of their key: numbers as numbers', () => {
  const plain = table('plain');
  const window = new ApplyWindow();
  const changes = ['10', '9', '-1', '100'].map((id): RowChange => ({ kind: 'insert', table: plain, after: [id, '0'] }));
  window.add({
    gtid: 'u:1',
    committedAtMs: 1,
    ours: false,
    changes,
    ddl: null,
    bytes: 1,
    partial: false,
    prepared: null,
  });
  expect(sharesOf(window)[0]?.states.map(({ key }) => key[0])).toEqual(['-1', '9', '10', '100']);
});
