import { SeededRandom } from '../property/seeded-random.ts';
import { randomStep } from './random-steps.ts';
import type { SessionStep } from './session-step.ts';

/** When the connection to the other side is opened: not at all, before the session's last steps, right before the move. */
export type Preparation = 'none' | 'early' | 'late';
export const PREPARATIONS: readonly Preparation[] = ['none', 'early', 'late'];

/** One session: what it does before its move and after it. */
export interface SessionCase {
  seed: number;
  preparation: Preparation;
  collation: number;
  before: SessionStep[];
  after: SessionStep[];
}

export function randomCase(seed: number, { onMariaDb }: { onMariaDb: boolean }): SessionCase {
  const random = new SeededRandom(seed);
  let preparedMax = 0;
  const step = () => {
    const next = randomStep({ random, onMariaDb }, preparedMax);
    if (next.kind === 'prepare') preparedMax += 1;
    return next;
  };
  const preparation = PREPARATIONS[seed % PREPARATIONS.length] ?? 'none';
  const collation = random.weighted([
    [8, 45],
    [1, 8],
    [1, 28],
  ]);
  const before = random.times(random.int(1, 14), step);
  // What takes locks or rows would meet the session that it is compared with, on the same server by then.
  const after = random.times(random.int(0, 3), step).filter((each) => each.kind === 'query' && isHarmless(each.text));
  return { seed, preparation, collation, before, after };
}

function isHarmless(text: string): boolean {
  return (
    /^\s*(?:SET|SELECT|DO|USE|SHOW|PREPARE|DEALLOCATE)\b/i.test(text) &&
    !/_lock|numbered|_gone|sql_log_bin|_p\b|;/i.test(text)
  );
}
