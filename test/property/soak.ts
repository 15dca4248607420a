import { randomInt } from 'node:crypto';
import { appendFileSync, copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { REVERSE_MODES } from '../../engine/api.ts';
import { FLAVORS, type Flavor } from '../../servers/flavor.ts';
import { randomSchedule } from './random-schedule.ts';
import { runSchedule, WRONG_SCHEDULE, type RunResult } from './run-schedule.ts';
import { scheduleSchema, type Schedule } from './schedule.ts';
import { shrinkSchedule } from './shrink-schedule.ts';
import { SoakStage } from './soak-stage.ts';

/** Before the next source. */
const SCHEDULES_OF_A_SOURCE = 6;

const USAGE = `npm run soak -- [--minutes N] [--source FLAVOR] [--keep-going] [--verbose]

  Random schemas, statements and faults, one schedule after the other, until one fails or the time is over.

  --minutes N       how long (default 10)
  --source FLAVOR   ${FLAVORS.join(', ')}; may be repeated (default mysql-9.7, mariadb-11.8 and mariadb-10.11)
  --through WHAT    where writers connect: server or proxy (default: drawn)
  --reverse MODE    from_switch, always or off (default: drawn)
  --no-xa           no XA transactions
  --free-ddl        DDL without waiting for the stream on a MariaDB too
  --seed N          this schedule alone; SWITCHYARD_SEED=N does the same
  --schedule FILE   the schedule of that file alone
  --times N         a seed or file so often
  --shrink          look for a smaller schedule that fails as well; --times says how often each is tried
  --keep-going      do not stop at a failure
  --verbose         every step
  --log FOLDER      where failures and the log are kept (default .cache/soak)

  A seed decides the schema, the statements of each writer and the faults. It cannot decide time: how they fall between
  each other, so a failure may need several runs to show itself again.`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    source: { type: 'string', multiple: true, default: ['mysql-9.7', 'mariadb-11.8', 'mariadb-10.11'] },
    through: { type: 'string' },
    reverse: { type: 'string' },
    'no-xa': { type: 'boolean', default: false },
    'free-ddl': { type: 'boolean', default: false },
    seed: { type: 'string' },
    schedule: { type: 'string' },
    times: { type: 'string', default: '1' },
    shrink: { type: 'boolean', default: false },
    'keep-going': { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    log: { type: 'string', default: '.cache/soak' },
    help: { type: 'boolean' },
  },
});
process.exit(values.help === true ? usage() : values.shrink ? await shrink() : await soak());

function usage(): number {
  console.log(USAGE);
  return 0;
}

async function soak(): Promise<number> {
  mkdirSync(values.log, { recursive: true });
  const endsAt = Date.now() + Number(values.minutes) * 60_000;
  let stage: SoakStage | undefined;
  let [runs, failures] = [0, 0];
  try {
    for (const schedule of schedules()) {
      if (stage?.flavor !== schedule.source) {
        await stage?.[Symbol.asyncDispose]();
        stage = await SoakStage.start(schedule.source);
      }
      runs += 1;
      const { failure, isSpoilt } = await run(stage, schedule);
      if (isSpoilt) {
        await stage[Symbol.asyncDispose]();
        stage = undefined;
      }
      if (failure !== null) {
        failures += 1;
        if (!values['keep-going']) break;
      }
      if (Date.now() >= endsAt) break;
    }
  } finally {
    await stage?.[Symbol.asyncDispose]();
  }
  say(`${runs} schedules, ${failures} failed`);
  return failures === 0 ? 0 : 1;
}

/** Every candidate gets its turn on a stage that no failure has touched. */
async function shrink(): Promise<number> {
  mkdirSync(values.log, { recursive: true });
  const { value: schedule } = schedules().next();
  if (schedule === undefined) return usage();
  let stage: SoakStage | undefined;
  let kind: string | undefined;
  const smallest = await shrinkSchedule(schedule, async (candidate) => {
    for (let i = 0; i < Number(values.times); i += 1) {
      stage ??= await SoakStage.start(candidate.source);
      const { failure } = await runSchedule(stage, candidate, { deadlineMs: 60_000 });
      if (failure === null) continue;
      await stage[Symbol.asyncDispose]();
      stage = undefined;
      // Another failure is another story.
      if (failure.startsWith(WRONG_SCHEDULE) || (kind !== undefined && kindOf(failure) !== kind)) continue;
      kind = kindOf(failure);
      return keepSmaller(candidate, failure);
    }
    return false;
  });
  await stage?.[Symbol.asyncDispose]();
  return keepSmaller(smallest, 'the smallest') ? 1 : 0;
}

/** Without what differs from run to run: the codes of errors, or all of it. */
function kindOf(failure: string): string {
  return failure.match(/\b[A-Z]+(?:_[A-Z]+)+\b/g)?.join(' ') ?? failure;
}

function keepSmaller(schedule: Schedule, failure: string): boolean {
  const { seed, source, steps, writers, tables } = schedule;
  const file = join(values.log, `${seed}-${source}-small.json`);
  writeFileSync(file, JSON.stringify(schedule, undefined, 1));
  const transactions = writers.reduce((total, { transactions }) => total + transactions.length, 0);
  say(
    `${file}: ${steps.length} steps, ${tables.length} tables, ${writers.length} writers, ${transactions} transactions: ${failure}`,
  );
  return true;
}

/** Several of one source before the next one: servers take their time to start. */
function* schedules(): Generator<Schedule> {
  const sources = values.source.map((name) => flavorOf(name));
  const seed = values.seed ?? process.env['SWITCHYARD_SEED'];
  const times = Number(values.times);
  if (values.schedule !== undefined) {
    const schedule = scheduleSchema.parse(JSON.parse(readFileSync(values.schedule, 'utf8')));
    for (let i = 0; i < times; i += 1) yield schedule;
    return;
  }
  if (seed !== undefined) {
    for (const source of sources) for (let i = 0; i < times; i += 1) yield made(Number(seed), source);
    return;
  }
  for (;;) {
    for (const source of sources) {
      for (let i = 0; i < SCHEDULES_OF_A_SOURCE; i += 1) yield made(randomInt(2 ** 32), source);
    }
  }
}

function made(seed: number, source: Flavor): Schedule {
  const { through } = values;
  const reverse = REVERSE_MODES.find((mode) => mode === values.reverse);
  return randomSchedule(seed, {
    source,
    ...(reverse === undefined ? {} : { reverse }),
    ...(values['no-xa'] ? { xa: false } : {}),
    ...(values['free-ddl'] ? { freeDdl: true } : {}),
    ...(through === 'server' || through === 'proxy' ? { writersThrough: through } : {}),
  });
}

async function run(stage: SoakStage, schedule: Schedule): Promise<RunResult> {
  const { seed, source, writersThrough } = schedule;
  const result = await runSchedule(stage, schedule, {
    onStep: (text) => (values.verbose ? say(`  ${text}`) : undefined),
  });
  const { failure, statements, commits, elapsedMs } = result;
  say(
    `${failure === null ? 'equal ' : 'FAILED'} seed ${seed} ${source} through the ${writersThrough}: ${(elapsedMs / 1000).toFixed(1)} s, ${statements} statements, ${commits} commits${stopOf(result)}`,
  );
  if (values.verbose) say(`  ${JSON.stringify(result.counts)}`);
  if (failure !== null) keep(stage, schedule, result);
  return result;
}

function stopOf({ counts }: RunResult): string {
  const stop = Object.keys(counts).find((name) => name.startsWith('stopped: '));
  return stop === undefined ? '' : `, ${stop}`;
}

/** Everything that is needed to look for the cause, or to run it again. */
function keep(stage: SoakStage, schedule: Schedule, { failure, differences, counts }: RunResult): void {
  const { seed, source, steps } = schedule;
  const file = join(values.log, `${seed}-${source}.json`);
  writeFileSync(file, JSON.stringify(schedule, undefined, 1));
  writeFileSync(join(values.log, `${seed}-${source}.log`), stage.switchyard.log());
  for (const [side, { datadir }] of Object.entries(stage.servers)) {
    for (const name of datadir === null ? [] : readdirSync(datadir).filter((name) => /^binlog\.\d+$/.test(name))) {
      copyFileSync(join(datadir ?? '', name), join(values.log, `${seed}-${side}-${name}`));
    }
  }
  say(`  ${failure}`);
  for (const { table, what } of differences) say(`  ${table}: ${what}`);
  say(`  steps: ${steps.map((step) => JSON.stringify(step)).join(' ')}`);
  say(`  counts: ${JSON.stringify(counts)}`);
  say(
    `  again: SWITCHYARD_SEED=${seed} npm run soak -- --source ${source}, or --schedule ${file}; log of the engine beside it`,
  );
}

function flavorOf(name: string): Flavor {
  const flavor = FLAVORS.find((one) => one === name);
  if (flavor === undefined) throw new Error(`--source ${name}: there is ${FLAVORS.join(', ')}`);
  return flavor;
}

function say(text: string): void {
  const line = `${new Date().toISOString()} ${text}`;
  console.log(line);
  appendFileSync(join(values.log, 'soak.log'), `${line}\n`);
}
