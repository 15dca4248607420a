import { mkdtemp, rm } from 'node:fs/promises';

import path from 'node:path';
import type { ServerDefinition } from '../../engine/api.ts';
import type { RunningServer } from '../../servers/running-server.ts';

/** What every way of copying gets. */
export interface CopyStage {
  source: RunningServer;
  target: RunningServer;
  tables: number;
  /** A folder that the servers' own users may write to. */
  folder: string;
}

/** One way to bring the tables over, indexes and all. */
export interface CopyPeer {
  name: string;
  version: string;
  /** Copies into the empty target. Answers how long it took, ms. */
  copy(): Promise<number>;
}

/** Without TLS, as mydumper: on one machine it would only measure the cipher. */
export function serverDefinition({ host, port, adminUser, adminPassword }: RunningServer): ServerDefinition {
  return {
    host,
    port,
    user: adminUser,
    password: adminPassword,
    tls: { mode: 'disabled', minVersion: 'TLSv1.2' },
  };
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

/** A new folder in `parent` for the length of `work`. */
export async function withFolder<T>(parent: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(parent, 'run-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
