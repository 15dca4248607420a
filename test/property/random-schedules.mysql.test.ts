import { afterAll, expect, test } from 'vitest';
import type { Flavor } from '../../servers/flavor.ts';
import { selected } from '../support/selection.ts';
import { randomSchedule } from './random-schedule.ts';
import { runSchedule } from './run-schedule.ts';
import { SoakStage } from './soak-stage.ts';

/**
 * Random schemas, statements and faults, for about a minute, the same every time: a run that fails says something of the
 * change that it is run for. New seeds are for `npm run soak`, which goes on from here; SWITCHYARD_SEED adds one.
 */
const stages = new Map<Flavor, SoakStage>();

afterAll(async () => {
  for (const stage of stages.values()) await stage[Symbol.asyncDispose]();
});

async function stageOf(flavor: Flavor): Promise<SoakStage> {
  const stage = stages.get(flavor) ?? (await SoakStage.start(flavor));
  stages.set(flavor, stage);
  return stage;
}

/** Whatever a failure leaves could be the cause of the next one. */
async function leaveStage(flavor: Flavor): Promise<void> {
  await stages.get(flavor)?.[Symbol.asyncDispose]();
  stages.delete(flavor);
}

const ADDED = Number(process.env['SWITCHYARD_SEED'] ?? 2_816_229_053);

const SCHEDULES = selected<{ source: 'mysql-9.7' | 'mariadb-11.8'; seed: number; through: 'server' | 'proxy' }>(
  [
    { source: 'mysql-9.7', seed: 12, through: 'proxy' },
    { source: 'mysql-9.7', seed: ADDED, through: 'server' },
    { source: 'mariadb-11.8', seed: 13, through: 'server' },
  ],
  [{ source: 'mysql-9.7', seed: 11, through: 'server' }],
);

test.each(SCHEDULES)(
  '$source, seed $seed, writers through the $through: source equals target',
  async ({ source, seed, through }) => {
    const schedule = randomSchedule(seed, { source, writersThrough: through, quick: true });
    const { failure, isSpoilt, differences, counts, statements } = await runSchedule(await stageOf(source), schedule);
    if (isSpoilt) await leaveStage(source);
    expect({
      seed,
      failure,
      differences,
      steps: failure === null ? [] : schedule.steps,
      counts: failure === null ? {} : counts,
    }).toEqual({ seed, failure: null, differences: [], steps: [], counts: {} });
    expect(statements).toBeGreaterThan(100);
  },
);
