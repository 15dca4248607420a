import { execFile } from 'node:child_process';
import { cpus, totalmem } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

export interface BenchEnvironment {
  commit: string;
  machine: { cpu: string; cores: number; memoryGb: number; node: string };
}

/** What figures are worth nothing without. */
export async function benchEnvironment(): Promise<BenchEnvironment> {
  const processors = cpus();
  return {
    commit: await commit(),
    machine: {
      cpu: processors[0]?.model.trim() ?? 'unknown',
      cores: processors.length,
      memoryGb: Math.round(totalmem() / 2 ** 30),
      node: process.version,
    },
  };
}

async function commit(): Promise<string> {
  const git = async (...args: string[]) =>
    (await promisify(execFile)('git', args, { cwd: path.dirname(import.meta.dirname) })).stdout.trim();
  try {
    const [hash, changes] = await Promise.all([
      git('rev-parse', '--short', 'HEAD'),
      git('status', '--porcelain', '--untracked-files=no'),
    ]);
    return changes === '' ? hash : `${hash} with changes`;
  } catch {
    return 'unknown';
  }
}
