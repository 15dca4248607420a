import { expect, test } from 'vitest';
import { describeFailure, fuzzState } from './state-fuzz.ts';
import { StateStage } from './state-stage.ts';

/** Of each preparation so many batches. */
const CASES = 72;

test.each([['mysql-9.7', 1]] as const)(
  '%s: sessions that move are like those that do not, from seed %s on',
  async (flavor, seed) => {
    await using stage = await StateStage.start(flavor);
    const { failures, moved } = await fuzzState(stage, { seed, isEnough: ({ cases }) => cases >= CASES });
    expect(failures.map(describeFailure).join('\n')).toBe('');
    expect(moved).toBeGreaterThan(CASES / 3);
  },
);
