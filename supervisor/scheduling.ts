import { execFile } from 'node:child_process';
import type { Logger } from 'pino';

/**
 * SCHED_BATCH (sched(7)) for the process: when it wakes up it does not push aside the thread that runs, so it finds more to do at once
 * (ADR 29). Best effort: Node has no call for it, and `chrt` of util-linux is not everywhere. It is told of the main thread alone, which
 * carries the traffic; threads that this one starts later inherit it.
 */
export function scheduleInBatches(pid: number, log: Logger): void {
  if (process.platform !== 'linux') return;
  execFile('chrt', ['--batch', '--pid', '0', String(pid)], (error) => {
    if (error !== null) log.info({ pid, reason: error.message }, 'scheduled as any process: chrt did not work');
  });
}
