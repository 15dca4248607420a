import { readFile } from 'node:fs/promises';

/** Linux counts in hundredths of a second here, whatever its own tick is. */
const MICROS_PER_TICK = 10_000;

/** The processor time, in user and kernel, that the processes have had so far. Linux only. */
export async function cpuMicros(pids: readonly number[]): Promise<number> {
  const times = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
      // The name before them is in parentheses and may hold spaces; utime and stime are fields 14 and 15.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return (Number(fields[11]) + Number(fields[12])) * MICROS_PER_TICK;
    }),
  );
  return times.reduce((sum, micros) => sum + micros, 0);
}

/** The time, of all processors, in which nobody wanted one. Linux only. */
export async function idleMicros(): Promise<number> {
  const [all = ''] = (await readFile('/proc/stat', 'utf8')).split('\n');
  // cpu, user, nice, system, idle, waiting for disks.
  const [, , , , idle, waiting] = all.split(/\s+/);
  return (Number(idle) + Number(waiting)) * MICROS_PER_TICK;
}
