import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { LogStore } from './log-store.ts';

function logFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-log-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, 'logs.sqlite');
}
const entry = (importId: string | null, message: string) => ({ importId, atMs: 1, level: 'info' as const, message });

test('lines survive a restart, by import, oldest first', () => {
  const file = logFile();
  {
    using store = new LogStore(file);
    for (const message of ['one', 'two', 'three']) store.append(entry('shop', message));
    store.append(entry('other', 'x'));
    store.append(entry(null, 'of no import'));
  }
  using store = new LogStore(file);
  expect(store.read('shop', { limit: 2 }).map(({ message }) => message)).toEqual(['two', 'three']);
  expect(store.read(null, { limit: 9 })).toEqual([entry(null, 'of no import')]);
});

test('only the newest lines are kept', () => {
  using store = new LogStore(':memory:', { linesMax: 10 });
  for (let at = 0; at < 1100; at += 1) store.append(entry('shop', String(at)));
  const lines = store.read('shop', { limit: 5000 });
  expect(lines).toHaveLength(10);
  expect(lines.at(-1)?.message).toBe('1099');
});

test('secrets in details are not stored', () => {
  using store = new LogStore(':memory:');
  store.append({ ...entry('shop', 'login'), details: { user: 'u', password: 'hunter2' } });
  expect(store.read('shop', { limit: 1 })[0]?.details).toEqual({ user: 'u', password: '[hidden]' });
});
