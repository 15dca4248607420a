import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** What the processes keep in memory now. Linux only. */
export async function residentBytes(pids: readonly number[]): Promise<number> {
  const sizes = await Promise.all(
    pids.map(async (pid) => {
      const status = await readFile(`/proc/${pid}/status`, 'utf8');
      return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) * 1024;
    }),
  );
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}

/** The same once it no longer moves: a login leaves garbage that is collected a little later. */
export async function settledResidentBytes(
  pids: readonly number[],
  { withinMs }: { withinMs: number },
): Promise<number> {
  const deadline = Date.now() + withinMs;
  let lowest = await residentBytes(pids);
  let unchanged = 0;
  while (unchanged < 5 && Date.now() < deadline) {
    await delay(500);
    const now = await residentBytes(pids);
    unchanged = Math.abs(now - lowest) < 256 * 1024 ? unchanged + 1 : 0;
    lowest = now;
  }
  return lowest;
}
