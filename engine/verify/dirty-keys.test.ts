import { expect, test } from 'vitest';
import { DirtyKeys } from './dirty-keys.ts';

const quiet = { onTouched: () => ({ [Symbol.dispose]: () => {} }) };
const key = (text: string) => ({ key: text, values: [text] });

test('a look answers the touches from before it, not one that came meanwhile', () => {
  using dirty = new DirtyKeys(quiet);
  dirty.touch('t', [key('1'), key('2')]);
  const mark = dirty.mark;
  dirty.touch('t', [key('2')]);
  dirty.answer('t', ['1', '2'], mark);
  expect(dirty.isAnswered(mark)).toBe(true);
  expect(dirty.isAnswered(dirty.mark)).toBe(false);
  expect([...(dirty.keys(dirty.mark).get('t')?.keys() ?? [])]).toEqual(['2']);
  dirty.answer('t', ['2'], dirty.mark);
  expect(dirty.isEmpty).toBe(true);
  expect(dirty.oldestMs).toBe(null);
});

test('a key that is touched again before it was looked at keeps its first touch', () => {
  using dirty = new DirtyKeys(quiet);
  dirty.touch('t', [key('1')]);
  const mark = dirty.mark;
  dirty.touch('t', [key('1')]);
  expect(dirty.isAnswered(mark)).toBe(false);
  expect(dirty.size).toBe(1);
});

test('too many keys become every row of the table that has the most, and none is forgotten', () => {
  using dirty = new DirtyKeys(quiet, 10_000);
  dirty.touch('small', [key('1')]);
  dirty.touch(
    'large',
    Array.from({ length: 100 }, (_, i) => key(String(i))),
  );
  expect(dirty.everyTables()).toEqual(['large']);
  expect(dirty.size).toBe(1);
  const mark = dirty.mark;
  dirty.answer('small', ['1'], mark);
  expect(dirty.isAnswered(mark)).toBe(false);
  dirty.answerEvery('large', mark - 1);
  expect(dirty.everyTables()).toEqual(['large']);
  dirty.answerEvery('large', mark);
  expect(dirty.isEmpty).toBe(true);
});

test('every row at once: a touch during the look leaves the table dirty', () => {
  using dirty = new DirtyKeys(quiet);
  dirty.touch('t', 'every');
  const mark = dirty.mark;
  dirty.touch('t', 'every');
  dirty.answerEvery('t', mark);
  expect(dirty.isAnswered(mark)).toBe(true);
  expect(dirty.everyTables()).toEqual(['t']);
});

test('a table that is defined anew keeps its oldest touch and no key; one that is gone holds nobody up', () => {
  using dirty = new DirtyKeys(quiet);
  dirty.touch('t', [key('1')]);
  const mark = dirty.mark;
  dirty.redefine('t');
  expect(dirty.size).toBe(0);
  expect(dirty.isAnswered(mark)).toBe(false);
  dirty.answerEvery('t', mark);
  expect(dirty.isTableAnswered('t', mark)).toBe(true);
  expect(dirty.everyTables()).toEqual(['t']);
  dirty.forget('t');
  expect(dirty.isAnswered(dirty.mark)).toBe(true);
  expect(dirty.oldestMs).toBe(null);
});
