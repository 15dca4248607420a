import { mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SqliteStore } from './sqlite.ts';

function folder(): string {
  return mkdtempSync(join(tmpdir(), 'switchyard-store-'));
}

test('compare-and-set: one of two writers wins, the other changes nothing (I6)', async () => {
  using store = new SqliteStore(join(folder(), 's.sqlite'));
  const first = await store.compareAndSet('route', null, { epoch: 1 });
  await expect(store.compareAndSet('route', null, { epoch: 9 })).rejects.toMatchObject({ code: 'STORE_CONFLICT' });
  const second = await store.compareAndSet('route', first, { epoch: 2 });
  await expect(store.compareAndSet('route', first, { epoch: 3 })).rejects.toMatchObject({ code: 'STORE_CONFLICT' });
  expect(await store.get('route')).toEqual({ key: 'route', value: { epoch: 2 }, revision: second });
});

test('values survive reopening, prefixes are exact, and changes are told', async () => {
  const file = join(folder(), 's.sqlite');
  const changes: string[] = [];
  {
    using store = new SqliteStore(file, (key) => changes.push(key));
    await store.compareAndSet('import/a', null, 1);
    await store.compareAndSet('import/b', null, 2);
    await store.compareAndSet('imports', null, 3);
  }
  using store = new SqliteStore(file);
  expect((await store.list('import/')).map(({ key }) => key)).toEqual(['import/a', 'import/b']);
  expect(changes).toEqual(['import/a', 'import/b', 'imports']);
});

test('a deleted secret is in no file any more (I10)', async () => {
  const dir = folder();
  using store = new SqliteStore(join(dir, 's.sqlite'));
  await store.compareAndSet('secret/a', null, 'needle-in-the-store');
  await store.delete('secret/a');
  for (const file of readdirSync(dir))
    expect(readFileSync(join(dir, file)).includes('needle-in-the-store')).toBe(false);
});
