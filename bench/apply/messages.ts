import type { ServerDefinition } from '../../engine/api.ts';

/** What the process that replicates is started with, in its environment. */
export interface ReplicationTask {
  importId: string;
  origin: ServerDefinition;
  destination: ServerDefinition;
  database: string;
}

export type ToReplication = { kind: 'start' } | { kind: 'waitFor'; position: string } | { kind: 'stop' };

export type FromReplication =
  | { kind: 'ready' }
  | { kind: 'reached'; residentMb: number; cpuMs: number; windows: number; rowChanges: number }
  | { kind: 'stopped' }
  | { kind: 'failed'; message: string };
