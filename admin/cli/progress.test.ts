import { expect, test } from 'vitest';
import { moveTo, standInImport } from '../stand-in/stand-in-import.ts';
import { progressFrame, progressLine } from './progress.ts';

function copying() {
  const view = standInImport({ id: 'shop' });
  moveTo(view, 'copying');
  const [first, second] = view.tables;
  if (first === undefined || second === undefined) throw new Error('the stand-in has tables');
  Object.assign(first, { state: 'copied', rowsCopied: first.rowsTotal });
  Object.assign(second, { state: 'copying', rowsCopied: second.rowsTotal / 2, etaMs: 65_000 });
  return view;
}

test('a line tells phase, rows, percent, time left and lag', () => {
  expect(progressLine(copying(), 250_000)).toBe(
    'shop  copying  232,425 / 6,049,739 rows  3.8%  1/8 tables  ETA 4:10 min  lag -',
  );
});

test('a frame fits its terminal; what moves is never left out', () => {
  const frame = progressFrame(copying(), { columns: 60, rows: 7, etaMs: null });
  expect(frame.length).toBeLessThanOrEqual(6);
  expect(frame.every((line) => line.length < 60)).toBe(true);
  expect(frame.join('\n')).toMatch(/cart_items +█{12}░{12} +50%/);
  expect(frame.at(-1)).toBe('  … and 5 more tables');
});

test('where nothing is being copied, one line is enough', () => {
  const view = standInImport({ id: 'shop' });
  moveTo(view, 'running');
  expect(progressFrame(view, { columns: 80, rows: 24, etaMs: null })).toEqual(['shop  running  lag 12 ms']);
});
