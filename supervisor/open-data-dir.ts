import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../core/errors.ts';

/** What is made here is for our user alone, whoever made the directory: sealed credentials, sessions' keys, log lines. */
const UMASK = 0o077;

/** Where something of the data directory is, in a directory that there is and processes started from here on keep private. */
export function openDataDir(dataDir: string): (name: string) => string {
  process.umask(UMASK);
  usable(dataDir, () => mkdirSync(dataDir, { recursive: true }));
  return (name) => join(dataDir, name);
}

/** Throws DATA_DIR_UNUSABLE with the system's words where `open` does: no room, no rights, a damaged file. */
export function usable<T>(path: string, open: () => T): T {
  try {
    return open();
  } catch (cause) {
    throw unusable(path, cause);
  }
}

export function unusable(path: string, cause: unknown): AppError {
  if (cause instanceof AppError) return cause;
  return new AppError('DATA_DIR_UNUSABLE', `${path}: ${(cause as Error).message}`, { cause });
}
