import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { AppError } from '../../core/errors.ts';
import type { Account } from '../../demo/accounts.ts';

export interface SysbenchTarget {
  port: number;
  account: Account;
  database: string;
}

export interface SysbenchRun {
  /** A script of sysbench's own, or the path of one. */
  script: string;
  threads: number;
  seconds: number;
  tables: number;
  tableSize: number;
}

export interface SysbenchFigures {
  qps: number;
  queries: number;
  p95Ms: number;
  errors: number;
}

type Sizes = Pick<SysbenchRun, 'tables' | 'tableSize'>;

/** Creates the tables. `script` is any of sysbench's oltp family: they share them. */
export async function prepareSysbench(target: SysbenchTarget, sizes: Sizes): Promise<void> {
  await run(['oltp_point_select', ...serverOptions(target), ...sizeOptions(sizes), 'prepare']);
}

export async function runSysbench(target: SysbenchTarget, options: SysbenchRun): Promise<SysbenchFigures> {
  const { script, threads, seconds } = options;
  const output = await run([
    script,
    ...serverOptions(target),
    ...sizeOptions(options),
    `--threads=${threads}`,
    `--time=${seconds}`,
    // Deadlocks of its own threads with each other.
    '--mysql-ignore-errors=1213',
    'run',
  ]);
  return {
    qps: numberIn(output, /queries: +\d+ +\(([\d.]+) per sec/),
    queries: numberIn(output, /queries: +(\d+)/),
    p95Ms: numberIn(output, /95th percentile: +([\d.]+)/),
    errors: numberIn(output, /reconnects: +(\d+)/),
  };
}

function serverOptions({ port, account, database }: SysbenchTarget): string[] {
  return [
    '--db-driver=mysql',
    '--mysql-host=127.0.0.1',
    `--mysql-port=${port}`,
    `--mysql-user=${account.user}`,
    `--mysql-password=${account.password}`,
    `--mysql-db=${database}`,
  ];
}

function sizeOptions({ tables, tableSize }: Sizes): string[] {
  return [`--tables=${tables}`, `--table-size=${tableSize}`];
}

async function run(args: string[]): Promise<string> {
  try {
    return (await promisify(execFile)('sysbench', args)).stdout;
  } catch (cause) {
    const { stdout = '', stderr = '' } = cause as { stdout?: string; stderr?: string };
    throw new AppError('SERVER_NOT_STARTED', `sysbench ${args[0]} failed: ${stdout.slice(-500)}${stderr.slice(-500)}`, {
      cause,
    });
  }
}

function numberIn(output: string, pattern: RegExp): number {
  const found = pattern.exec(output)?.[1];
  if (found === undefined) throw new AppError('SERVER_NOT_STARTED', `sysbench printed no ${pattern}: ${output}`);
  return Number(found);
}
