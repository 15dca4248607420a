import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import pino from 'pino';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../test/support/temporary-folder.ts';
import { Child } from './child.ts';

/** The numbers of sched(7). */
const POLICIES = { normal: 0, batch: 3 } as const;

for (const scheduling of ['normal', 'batch'] as const) {
  test.runIf(process.platform === 'linux')(`a process with the scheduling ${scheduling} has that policy`, async () => {
    using folder = temporaryFolder();
    const mainPath = path.join(folder.path, 'waits.mjs');
    await writeFile(mainPath, 'setInterval(() => {}, 1000)');
    const stop = new AbortController();
    const log = pino({ level: 'silent' });
    const child = new Child({ name: 'waits', arguments: [], mainPath, scheduling, signal: stop.signal, log });
    try {
      await expect.poll(() => policyOf(child.pid)).toBe(POLICIES[scheduling]);
    } finally {
      stop.abort();
      child.kill('SIGKILL');
      await child.ended;
    }
  });
}

/** Field 41 of proc_pid_stat(5); the name of the program, the second, may have spaces. */
async function policyOf(pid: number | undefined): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[41 - 3]);
}
