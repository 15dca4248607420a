import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ENGINE_NODE_OPTIONS } from '../../engine/engine-memory.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import { executedPosition } from '../../engine/server/position.ts';
import { createSidecar, ProgressRow } from '../../engine/sidecar.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { parsePosition } from '../../core/gtid.ts';
import { definitionOf } from './stream-fixture.ts';

const PROCESS = fileURLToPath(new URL('replication-process.ts', import.meta.url));

const MIB = 2 ** 20;

export interface HugeReport {
  rows: number;
  /** Of the process that replicates, at its peak. */
  residentMibMax: number;
  /** Before the transaction. */
  residentMibIdle: number;
  sourceSeconds: number;
  applySeconds: number;
  binlogMib: number;
  equal: boolean;
}

/** One transaction of `rows` rows on the source, replicated by a process of its own, whose memory is measured. */
export async function replicateHugeTransaction(
  servers: { source: RunningServer; target: RunningServer },
  rows: number,
  timeoutMs: number,
): Promise<HugeReport> {
  await using source = await ServerConnection.open(definitionOf(servers.source));
  await using target = await ServerConnection.open(definitionOf(servers.target));
  await createSidecar(target);
  for (const connection of [source, target]) {
    await connection.write('CREATE DATABASE huge');
    await connection.write('USE huge');
    await connection.write(
      'CREATE TABLE huge.t (id INT PRIMARY KEY, a BIGINT NOT NULL, b VARCHAR(40) NOT NULL, c DATETIME(3) NULL)',
    );
  }
  await source.write('CREATE TABLE huge.digit (n INT PRIMARY KEY)');
  await source.write('INSERT INTO huge.digit VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)');
  const progress = new ProgressRow('huge', 'forward');
  await progress.reset(target, (await executedPosition(source, 'mysql')).toString());
  const child = spawn(process.execPath, [
    ...ENGINE_NODE_OPTIONS,
    ...(process.env['HUGE_FLAGS']?.split(' ') ?? []),
    PROCESS,
    JSON.stringify({
      importId: 'huge',
      origin: definitionOf(servers.source),
      destination: definitionOf(servers.target),
      database: 'huge',
    }),
  ]);
  let said = '';
  child.stderr.on('data', (data: Buffer) => {
    said += data.toString();
  });
  const ended = once(child, 'exit');
  try {
    // It has begun when what goes before the measured transaction has arrived.
    await source.write("INSERT INTO huge.t VALUES (-1, 0, 'first', NULL)");
    await until(() => rowsOf(target).then((count) => count === 1), 60_000);
    const residentMibIdle = residentMibMax(child.pid);
    const startedMs = performance.now();
    await source.write(hugeInsert(rows));
    const loggedMs = performance.now();
    const position = await executedPosition(source, 'mysql');
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`the process ended: ${said}`);
      return parsePosition('mysql', (await progress.read(target)) ?? '').covers(position);
    }, timeoutMs);
    const appliedMs = performance.now();
    const [log] = await source.rows('SHOW BINARY LOGS').then((logs) => logs.slice(-1));
    return {
      rows,
      residentMibIdle,
      residentMibMax: residentMibMax(child.pid),
      sourceSeconds: Math.round((loggedMs - startedMs) / 100) / 10,
      applySeconds: Math.round((appliedMs - loggedMs) / 100) / 10,
      binlogMib: Math.round(Number(log?.[1]) / MIB),
      equal: (await checksum(source)) === (await checksum(target)),
    };
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
}

function hugeInsert(rows: number): string {
  const digits = Math.ceil(Math.log10(rows));
  const names = Array.from({ length: digits }, (_, index) => `d${index}`);
  const number = names.map((name, index) => `${name}.n * ${10 ** index}`).join(' + ');
  const from = names.map((name) => `huge.digit ${name}`).join(' CROSS JOIN ');
  return (
    `INSERT INTO huge.t SELECT i, i * 7919, LEFT(SHA2(i, 256), 40), '2024-02-29 12:34:56.789' + INTERVAL i SECOND ` +
    `FROM (SELECT ${number} AS i FROM ${from}) AS numbers WHERE i < ${rows}`
  );
}

async function rowsOf(connection: ServerConnection): Promise<number> {
  const [row] = await connection.rows('SELECT COUNT(*) FROM huge.t');
  return Number(row?.[0]);
}

async function checksum(connection: ServerConnection): Promise<string> {
  const [row] = await connection.rows('CHECKSUM TABLE huge.t');
  return `${row?.[1]} of ${await rowsOf(connection)} rows`;
}

function residentMibMax(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) / 1024);
}

async function until(condition: () => Promise<boolean>, timeoutMs: number): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
