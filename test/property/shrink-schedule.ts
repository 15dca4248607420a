import type { Schedule } from './schedule.ts';

/** `fails` carries it out, several times where once proves nothing. */
export type Trial = (schedule: Schedule) => Promise<boolean>;

/**
 * A smaller schedule that still fails: leaves out halves, quarters, … of steps, tables, writers and transactions, and
 * keeps what fails (delta debugging, Zeller 2002). What fails only sometimes may come out larger than it had to.
 */
export async function shrinkSchedule(schedule: Schedule, fails: Trial): Promise<Schedule> {
  let current = schedule;
  if (!(await fails(schedule))) throw new Error('the whole schedule does not fail: nothing to shrink');
  const without = async <T>(items: readonly T[], put: (kept: T[]) => Schedule): Promise<void> => {
    let kept = [...items];
    for (let size = Math.ceil(kept.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let at = 0; at < kept.length;) {
        const fewer = [...kept.slice(0, at), ...kept.slice(at + size)];
        const candidate = put(fewer);
        if (fewer.length < kept.length && (await fails(candidate))) {
          kept = fewer;
          current = candidate;
        } else at += size;
      }
    }
  };
  await without(current.steps, (steps) => ({ ...current, steps }));
  await without(current.writers, (writers) => ({ ...current, writers }));
  await without(current.tables, (tables) => ({ ...current, tables }));
  for (let i = 0; i < current.writers.length; i += 1) {
    await without(current.writers[i]?.transactions ?? [], (transactions) => ({
      ...current,
      writers: current.writers.map((writer, at) => (at === i ? { ...writer, transactions } : writer)),
    }));
  }
  for (let i = 0; i < current.tables.length; i += 1) {
    await without(current.tables[i]?.statements ?? [], (statements) => ({
      ...current,
      tables: current.tables.map((table, at) => (at === i ? { ...table, statements } : table)),
    }));
  }
  return current;
}
