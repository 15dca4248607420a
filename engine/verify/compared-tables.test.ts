import { expect, test } from 'vitest';
import type { VerifyTableView } from '../api.ts';
import { ComparedTables } from './compared-tables.ts';
import { DirtyKeys } from './dirty-keys.ts';

const quiet = { onTouched: () => ({ [Symbol.dispose]: () => {} }) };
const view = (name: string, state: VerifyTableView['state']): VerifyTableView => ({
  name,
  state,
  rows: 1,
  chunksDone: 1,
  chunksTotal: 1,
  differences: [],
  differencesTotal: 0,
  anew: false,
});

function restored(...views: VerifyTableView[]): { tables: ComparedTables; dirty: DirtyKeys } {
  const dirty = new DirtyKeys(quiet);
  const tables = new ComparedTables(dirty, () => {});
  tables.restore(views);
  return { tables, dirty };
}

test('a table that DDL names in any case is pending, and holds its place until it is compared; others are not', () => {
  const { tables, dirty } = restored(view('a', 'equal'), view('b', 'equal'));
  tables.redefineNamed(['A', 'unknown'], 'ALTER TABLE A ADD x INT');
  tables.ended({ there: ['a'], gone: [] });
  expect(tables.pending).toEqual(['a']);
  expect(tables.pendingReason).toContain('a: ALTER TABLE A ADD x INT');
  expect(tables.views.map(({ state }) => state)).toEqual(['waiting', 'equal']);
  expect(dirty.isAnswered(dirty.mark)).toBe(false);
  tables.settle();
  expect(tables.pending).toEqual(['a']);
});

test('new tables come, dropped ones leave; what was heard of DDL counts more than a list from before it', () => {
  const { tables, dirty } = restored(view('a', 'equal'), view('b', 'equal'));
  tables.redefineNamed(['a', 'c'], 'RENAME TABLE a TO c');
  tables.ended({ there: ['c'], gone: ['a'] });
  tables.keepOnly(['a', 'b']);
  expect(tables.views.map(({ name }) => name)).toEqual(['b', 'c']);
  expect(tables.pending).toEqual(['c']);
  tables.ended({ there: [], gone: ['c'] });
  expect(dirty.isAnswered(dirty.mark)).toBe(true);
});

test('what an engine had begun to compare anew, the next one compares anew', () => {
  const { tables } = restored(view('a', 'verifying'), view('b', 'waiting'), view('c', 'different'));
  expect(tables.pending).toEqual(['a', 'b']);
});

test('tables of a pass are waited for until they are paired, but for those that DDL names before; a list from before a DROP brings none back', () => {
  const dirty = new DirtyKeys(quiet);
  const tables = new ComparedTables(dirty, () => {});
  tables.ended({ there: ['made'], gone: ['dropped'] });
  tables.expect(['a', 'b', 'dropped', 'made']);
  expect(tables.unpaired.toSorted()).toEqual(['a', 'b', 'made']);
  expect(tables.pending).toEqual(['made']);
  expect(tables.awaitsPairs).toBe(true);
  tables.redefineNamed(['a', 'b'], 'RENAME TABLE a TO x, b TO a, x TO b');
  expect(tables.awaitsPairs).toBe(false);
  expect(tables.toCompare()).toEqual([]);
  expect(tables.views.filter(({ anew }) => anew).map(({ name }) => name)).toEqual(['made', 'a', 'b']);
});

test('a table that the stream has taken in since is compared, also where its statement was not heard of', () => {
  const { tables, dirty } = restored(view('a', 'equal'));
  tables.keepOnly(['a', 'b']);
  expect(tables.pending).toEqual(['b']);
  expect(dirty.isAnswered(dirty.mark)).toBe(false);
});
