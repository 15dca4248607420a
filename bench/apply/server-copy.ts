import { cp, rm } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '../../core/errors.ts';
import type { RunningServer } from '../../servers/running-server.ts';

/** The data directory of a stopped server of our own. */
export function dataDirectoryOf({ datadir, origin }: RunningServer): string {
  if (datadir === null || origin !== 'process') {
    throw new AppError('SERVER_NOT_STARTED', 'this benchmark copies data directories: use SWITCHYARD_SERVERS=process');
  }
  return datadir;
}

/** Gives a stopped server the data in the folder `from`, as a server of its own. */
export async function replaceData(server: RunningServer, from: string): Promise<void> {
  const datadir = dataDirectoryOf(server);
  await rm(datadir, { recursive: true, force: true });
  await cp(from, datadir, { recursive: true });
  // The UUID: every server must have its own.
  await rm(path.join(datadir, 'auto.cnf'), { force: true });
}
