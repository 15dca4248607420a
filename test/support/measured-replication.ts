import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parsePosition } from '../../core/gtid.ts';
import { ENGINE_NODE_OPTIONS } from '../../engine/engine-memory.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import { executedPosition } from '../../engine/server/position.ts';
import { createSidecar, ProgressRow } from '../../engine/sidecar.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { definitionOf } from './stream-fixture.ts';

const PROCESS = fileURLToPath(new URL('replication-process.ts', import.meta.url));

export interface MeasuredOptions {
  /** Of its own for each measurement; its only table is `t`, whose key is `id`. */
  schema: string;
  columns: string;
  /** What the measured transaction does, on a connection to the source that uses the schema. */
  transaction: string[];
  timeoutMs: number;
}

export interface Measurement {
  /** Of the process that replicates, at its peak, and before the transaction. */
  residentMibMax: number;
  residentMibIdle: number;
  sourceSeconds: number;
  applySeconds: number;
  equal: boolean;
}

/** One transaction of the source, replicated by a process of its own, whose memory is measured. */
export async function measureReplication(
  servers: { source: RunningServer; target: RunningServer },
  { schema, columns, transaction, timeoutMs }: MeasuredOptions,
): Promise<Measurement> {
  await using source = await ServerConnection.open(definitionOf(servers.source));
  await using target = await ServerConnection.open(definitionOf(servers.target));
  await createSidecar(target);
  for (const connection of [source, target]) {
    await connection.write(`CREATE DATABASE ${schema}`);
    await connection.write(`USE ${schema}`);
    await connection.write(`CREATE TABLE t (${columns})`);
  }
  const progress = new ProgressRow(schema, 'forward');
  await progress.reset(target, (await executedPosition(source, 'mysql')).toString());
  const settings = {
    importId: schema,
    origin: definitionOf(servers.source),
    destination: definitionOf(servers.target),
    database: schema,
  };
  const child = spawn(process.execPath, [...ENGINE_NODE_OPTIONS, PROCESS, JSON.stringify(settings)]);
  let said = '';
  child.stderr.on('data', (data: Buffer) => {
    said += data.toString();
  });
  const ended = once(child, 'exit');
  const caughtUp = async () => {
    const position = await executedPosition(source, 'mysql');
    const deadlineMs = performance.now() + timeoutMs;
    while (!parsePosition('mysql', (await progress.read(target)) ?? '').covers(position)) {
      if (child.exitCode !== null) throw new Error(`the process ended: ${said}`);
      if (performance.now() > deadlineMs) throw new Error(`not replicated within ${timeoutMs} ms: ${said}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  try {
    // It has begun when what goes before the measured transaction has arrived.
    await source.write('INSERT INTO t (id) VALUES (-1)');
    await caughtUp();
    const residentMibIdle = residentMib(child.pid);
    const startedMs = performance.now();
    for (const statement of transaction) await source.write(statement);
    const loggedMs = performance.now();
    await caughtUp();
    const appliedMs = performance.now();
    return {
      residentMibMax: residentMib(child.pid),
      residentMibIdle,
      sourceSeconds: Math.round((loggedMs - startedMs) / 100) / 10,
      applySeconds: Math.round((appliedMs - loggedMs) / 100) / 10,
      equal: (await checksum(source)) === (await checksum(target)),
    };
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
}

/** One transaction with `rows` rows, in the table with `HUGE_COLUMNS`. */
export function hugeTransaction(rows: number): string[] {
  const digits = Math.ceil(Math.log10(rows));
  const names = Array.from({ length: digits }, (_, index) => `d${index}`);
  const number = names.map((name, index) => `${name}.n * ${10 ** index}`).join(' + ');
  const from = names.map((name) => `digit ${name}`).join(' CROSS JOIN ');
  return [
    'CREATE TABLE digit (n INT PRIMARY KEY)',
    'INSERT INTO digit VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)',
    `INSERT INTO t SELECT i, i * 7919, LEFT(SHA2(i, 256), 40), '2024-02-29 12:34:56.789' + INTERVAL i SECOND ` +
      `FROM (SELECT ${number} AS i FROM ${from}) AS numbers WHERE i < ${rows}`,
  ];
}
export const HUGE_COLUMNS = 'id INT PRIMARY KEY, a BIGINT, b VARCHAR(40), c DATETIME(3)';

async function checksum(connection: ServerConnection): Promise<string> {
  const [sum] = await connection.rows('CHECKSUM TABLE t');
  const [count] = await connection.rows('SELECT COUNT(*) FROM t');
  return `${sum?.[1]} of ${count?.[0]} rows`;
}

/** At its peak so far. */
function residentMib(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) / 1024);
}
