import { mkdir } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import path from 'node:path';

const REPOSITORY = path.dirname(import.meta.dirname);

/** Downloaded servers and initialised data directories; SWITCHYARD_CACHE puts it elsewhere. */
export function cacheFolder(): string {
  return path.join(process.env['SWITCHYARD_CACHE'] ?? path.join(REPOSITORY, '.cache'), 'servers');
}

/**
 * Runs `work` while no other process does under the same `name`.
 *
 * The lock is SQLite's, hence the kernel's: it goes with its holder, so there is no stale lock to guess about, as there
 * would be with a pid file. The wait is a retry because SQLite's own would block the event loop.
 */
export async function withCacheLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  await mkdir(cacheFolder(), { recursive: true });
  const database = new DatabaseSync(path.join(cacheFolder(), `${name}.lock`));
  try {
    while (!tryLock(database)) await delay(100);
    return await work();
  } finally {
    database.close();
  }
}

function tryLock(database: DatabaseSync): boolean {
  try {
    database.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) return false;
    throw error;
  }
}

const SQLITE_BUSY = 5;
