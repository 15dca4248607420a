import { runCases, type CaseOutcome } from './run-cases.ts';
import { PREPARATIONS, randomCase, type SessionCase } from './session-case.ts';
import { PLACES, type StateStage } from './state-stage.ts';

export interface StateFuzzReport {
  cases: number;
  moved: number;
  /** Why sessions stayed, and how many did. */
  stayed: Map<string, number>;
  failures: { failed: SessionCase; outcome: CaseOutcome }[];
}

/** Cases from `seed` on, in batches whose connections are opened alike, until `isEnough`, asked after each batch. */
export async function fuzzState(
  stage: StateStage,
  { seed, isEnough }: { seed: number; isEnough: (report: StateFuzzReport) => boolean },
): Promise<StateFuzzReport> {
  const report: StateFuzzReport = { cases: 0, moved: 0, stayed: new Map(), failures: [] };
  for (let batch = 0; batch === 0 || !isEnough(report); batch += 1) {
    const first = seed + Math.floor(batch / PREPARATIONS.length) * PLACES * PREPARATIONS.length;
    const cases = Array.from({ length: PLACES }, (_, place) =>
      randomCase(first + (batch % PREPARATIONS.length) + place * PREPARATIONS.length, stage),
    );
    for (const [index, outcome] of (await runCases(stage, cases)).entries()) {
      const failed = cases[index];
      report.cases += 1;
      if (outcome.failure === null && outcome.stayed.length === 0) report.moved += 1;
      for (const reason of outcome.stayed) {
        const known = reason.replaceAll(/place\d+/g, 'PLACE');
        report.stayed.set(known, (report.stayed.get(known) ?? 0) + 1);
      }
      if (outcome.failure !== null && failed !== undefined) report.failures.push({ failed, outcome });
    }
  }
  return report;
}

/** To be read, and said again with the seed. */
export function describeFailure({ failed, outcome }: StateFuzzReport['failures'][number]): string {
  const { seed, preparation, collation, isOld, before, after } = failed;
  return [
    `seed ${seed}, connection opened ahead: ${preparation}, collation ${collation}${isOld ? ', EOF packets' : ''}`,
    ...before.map((step) => `  ${JSON.stringify(step)}`),
    '  -- the move',
    ...after.map((step) => `  ${JSON.stringify(step)}`),
    `  ${JSON.stringify(outcome.failure?.step)} ${outcome.failure?.what}`,
  ].join('\n');
}
