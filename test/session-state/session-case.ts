import { SeededRandom } from '../property/seeded-random.ts';
import { randomStep, type StepChoice } from './random-steps.ts';
import type { SessionStep } from './session-step.ts';

/** When the connection to the other side is opened: not at all, before the session's last steps, right before the move. */
export type Preparation = 'none' | 'early' | 'late';
export const PREPARATIONS: readonly Preparation[] = ['none', 'early', 'late'];
/** In each batch. */
const ONE_OF_SO_MANY_IS_OLD = 4;

/** One session: what it does before its move and after it. */
export interface SessionCase {
  seed: number;
  preparation: Preparation;
  collation: number;
  /** Its client knows EOF packets, which have no room for what the trackers tell. */
  isOld: boolean;
  before: SessionStep[];
  after: SessionStep[];
}

export function randomCase(seed: number, { onMariaDb, isMixed }: Omit<StepChoice, 'random'>): SessionCase {
  const random = new SeededRandom(seed);
  let preparedMax = 0;
  const step = () => {
    const next = randomStep({ random, onMariaDb, isMixed }, preparedMax);
    if (next.kind === 'prepare') preparedMax += 1;
    return next;
  };
  const preparation = PREPARATIONS[seed % PREPARATIONS.length] ?? 'none';
  const collation = random.weighted([
    [8, 45],
    [1, 8],
    [1, 28],
  ]);
  const isOld = Math.floor(seed / PREPARATIONS.length) % ONE_OF_SO_MANY_IS_OLD === 0;
  const before = random.times(random.int(1, 14), step);
  // What takes locks or rows would meet the session that it is compared with, on the same server by then.
  const isTried = (each: SessionStep) =>
    each.kind === 'query' &&
    isHarmless(each.text) &&
    !(onMariaDb && PREPARED_FROM_VARIABLE.test(each.text)) &&
    !(isMixed && TELLS_WARNINGS.test(each.text));
  const after = random.times(random.int(0, 3), step).filter(isTried);
  return { seed, preparation, collation, isOld, before, after };
}

/** Whether what is prepared ends MariaDB's list of warnings is not known to who answers SHOW WARNINGS behind it. */
const PREPARED_FROM_VARIABLE = /\bPREPARE\b[^]*\bFROM @/i;

/** Each flavor warns of other things, in other words. */
const TELLS_WARNINGS = /\bSHOW\b|_count\b/i;

function isHarmless(text: string): boolean {
  return (
    /^\s*(?:SET|SELECT|DO|USE|SHOW|PREPARE|DEALLOCATE)\b/i.test(text) &&
    !/_lock|numbered|_gone|sql_log_bin|_p\b|;/i.test(text)
  );
}
