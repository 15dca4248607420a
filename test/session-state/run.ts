import { randomInt } from 'node:crypto';
import { FLAVORS, parseFlavor, type Flavor } from '../../servers/flavor.ts';
import { randomCase } from './session-case.ts';
import { shrinkCase } from './shrink-case.ts';
import { describeFailure, fuzzState, type StateFuzzReport } from './state-fuzz.ts';
import { StateStage } from './state-stage.ts';

interface StateFuzzOptions {
  minutes: number;
  /** One case alone, where it is given. */
  seed: number | null;
  sources: readonly string[];
  /** Of another flavor than the source; else it is of the same. */
  target: string | null;
}

/** Before the next flavor: of the whole time. */
const MINUTES_OF_A_FLAVOR = 5;

/** `npm run fuzz -- --state`: prints seeds, and what fails with as few steps as still fail. The exit code. */
export async function runStateFuzz({ minutes, seed, sources, target }: StateFuzzOptions): Promise<number> {
  const flavors = FLAVORS.filter((flavor) => sources.includes(flavor));
  const to = target === null ? undefined : parseFlavor(target);
  if (flavors.length !== sources.length || (target !== null && to === undefined))
    throw new Error(`--source and --target are each one of ${FLAVORS.join(', ')}`);
  const endsAt = Date.now() + minutes * 60_000;
  let failures = 0;
  const turns = seed === null ? Number.POSITIVE_INFINITY : 1;
  for (let turn = 0; turn === 0 || (turn < turns && Date.now() < endsAt); turn += 1) {
    for (const flavor of flavors) {
      if (turn > 0 && Date.now() >= endsAt) break;
      const turnEndsAt = Math.min(endsAt, Date.now() + MINUTES_OF_A_FLAVOR * 60_000);
      failures += seed === null ? await fuzzUntil({ flavor, to }, turnEndsAt) : await replay({ flavor, to }, seed);
    }
  }
  return failures === 0 ? 0 : 1;
}

interface Flavors {
  flavor: Flavor;
  to: Flavor | undefined;
}

async function fuzzUntil({ flavor, to }: Flavors, endsAt: number): Promise<number> {
  const seed = randomInt(2 ** 30);
  console.log(`${flavor}, from seed ${seed} on`);
  await using stage = await StateStage.start(flavor, to);
  const report = await fuzzState(stage, { seed, isEnough: () => Date.now() >= endsAt });
  const stayed = Object.fromEntries([...report.stayed].sort(([, one], [, other]) => other - one));
  console.log(JSON.stringify({ flavor, seed, cases: report.cases, moved: report.moved, stayed }));
  for (const failure of report.failures) await show(stage, failure);
  return report.failures.length;
}

async function replay({ flavor, to }: Flavors, seed: number): Promise<number> {
  await using stage = await StateStage.start(flavor, to);
  const failed = randomCase(seed, stage);
  const { kept, outcome } = await shrinkCase(stage, failed);
  if (outcome.failure === null)
    console.log(
      `${flavor}, seed ${seed}: as without the proxy${outcome.stayed.map((why) => `; stayed: ${why}`).join('')}`,
    );
  else console.log(`${flavor}: ${describeFailure({ failed: kept, outcome })}`);
  return outcome.failure === null ? 0 : 1;
}

async function show(stage: StateStage, { failed, outcome }: StateFuzzReport['failures'][number]): Promise<void> {
  const smaller = await shrinkCase(stage, failed);
  const isShrunk = smaller.outcome.failure !== null;
  const text = describeFailure(isShrunk ? { failed: smaller.kept, outcome: smaller.outcome } : { failed, outcome });
  console.log(isShrunk ? text : `${text}\n  not alone, only with the others of its batch`);
}
