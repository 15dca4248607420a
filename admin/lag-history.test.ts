import { expect, test } from 'vitest';
import { LagHistory } from './lag-history.ts';
import { moveTo, standInImport } from './stand-in/stand-in-import.ts';

test('a sample a second, none before replication, the last quarter of an hour', () => {
  let nowMs = 0;
  const history = new LagHistory(() => nowMs);
  const view = standInImport({ id: 'shop' });
  const observe = () => history.observe({ kind: 'import', importId: 'shop', view });
  observe();
  expect(history.of('shop')).toEqual([]);
  moveTo(view, 'running');
  for (let at = 0; at < 4000; at += 1) {
    nowMs = at * 250;
    observe();
  }
  const samples = history.of('shop');
  expect(samples).toHaveLength(900);
  expect(samples.at(-1)).toEqual({ ageMs: 750, forwardMs: 12, reverseMs: 12 });
});
