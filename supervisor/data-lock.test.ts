import path from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../test/support/temporary-folder.ts';
import { DataLock } from './data-lock.ts';

test('the lock of a data directory is taken once, and is free when its holder has ended', () => {
  using folder = temporaryFolder();
  const file = path.join(folder.path, 'lock.sqlite');
  {
    using _held = new DataLock(file);
    expect(() => new DataLock(file, 0)).toThrow(expect.objectContaining({ code: 'PORT_IN_USE' }));
  }
  using _again = new DataLock(file, 0);
});
