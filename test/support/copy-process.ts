/** `node copy-process.ts JSON`: a copy in a process of its own, as the engine's; prints what it took. */
import { readFileSync } from 'node:fs';
import type { ServerDefinition } from '../../engine/api.ts';
import { runCopy } from '../../engine/copy/run-copy.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import { ServerConnection } from '../../engine/server/connection.ts';

export interface CopyTask {
  source: ServerDefinition;
  target: ServerDefinition;
  schema: string;
  connections: number;
}

export interface CopyOutcome {
  rows: number;
  bytes: number;
  /** The largest resident size that the kernel has seen. */
  residentMiBMax: number;
}

const { source, target, schema, connections } = JSON.parse(process.argv[2] ?? '') as CopyTask;
await using connection = await ServerConnection.open(source);
const tables = await inspectTables(connection, schema, 'all');
const { rows, bytes } = await runCopy({
  importId: schema,
  source,
  target,
  tables,
  connections,
  signal: new AbortController().signal,
  onProgress: () => {},
});
const residentKiB = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
console.log(
  JSON.stringify({ rows, bytes, residentMiBMax: Math.round(Number(residentKiB) / 1024) } satisfies CopyOutcome),
);
