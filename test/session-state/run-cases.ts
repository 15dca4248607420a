import type { Side } from '../../core/phase.ts';
import { ERR_HEADER } from '../../core/wire/err-packet.ts';
import { withinTime } from '../fuzz/within-time.ts';
import { questionsOf } from './question-battery.ts';
import { readableAnswer, type StepAnswer } from './readable-answer.ts';
import type { Preparation, SessionCase } from './session-case.ts';
import { StepClient, type SessionStep } from './session-step.ts';
import { schemaAt, type StateStage } from './state-stage.ts';

export interface CaseOutcome {
  seed: number;
  /** Why it was not moved. */
  stayed: string[];
  /** Where it differs from a session without a proxy that never moves, or does not answer at all. */
  failure: { step: SessionStep | null; what: string } | null;
}

interface Pair {
  isOld: boolean;
  /** A variable that is NULL has no type of its own, and the columns of numbers are of other sizes. */
  comparesColumns: boolean;
  /** As long as they are on servers of two flavors, they only have to succeed and fail with the same. */
  isApart: boolean;
  moved: StepClient;
  never: StepClient;
  outcome: CaseOutcome;
}

/** Carries out `cases`, which are prepared alike, side by side, one at each place, and moves them all at once to the other side. */
export async function runCases(stage: StateStage, cases: readonly SessionCase[]): Promise<CaseOutcome[]> {
  await stage.goBack();
  const to = stage.otherSide;
  const preparation: Preparation = cases[0]?.preparation ?? 'none';
  await stage.reset(cases);
  await using clients = new AsyncDisposableStack();
  const pairs: Pair[] = [];
  for (const [place, { seed, collation, isOld }] of cases.entries()) {
    const login = { collation, isOld, schema: schemaAt(place) };
    const moved = clients.use(await StepClient.open(stage.proxy.port, login));
    const never = clients.use(await StepClient.open(stage.server(to).port, login));
    pairs.push({
      isOld,
      comparesColumns: !stage.isMixed,
      isApart: stage.isMixed,
      moved,
      never,
      outcome: { seed, stayed: [], failure: null },
    });
  }
  const stepsOfAll = async (stepsOf: (steps: readonly SessionStep[]) => readonly SessionStep[]) =>
    Promise.all(pairs.map(async (pair, at) => doAll(pair, stepsOf(cases[at]?.before ?? []))));
  await stepsOfAll((steps) => steps.slice(0, halfOf(steps)));
  if (preparation === 'early') await stage.proxy.prepare('primary', to);
  await stepsOfAll((steps) => steps.slice(halfOf(steps)));
  for (const pair of pairs) await letGoWhatStays(stage, pair);
  await moveAll(stage, pairs, { to, preparation });
  for (const pair of pairs) pair.isApart = false;
  await Promise.all(
    pairs.map(async (pair, at) => {
      if (isOver(pair.outcome)) return;
      // A lock that one takes is refused to the other, on the same server by then.
      const takesLocks = (cases[at]?.before ?? []).some(
        (step) => step.kind === 'query' && /PREPARE\b[^]*GET_LOCK/.test(step.text),
      );
      const questions = questionsOf(stage)
        .filter((text) => !takesLocks || !text.startsWith('EXECUTE'))
        .map((text) => ({ kind: 'query', text }) as const);
      const executions = pair.never.prepared.flatMap((text, nth) =>
        /GET_LOCK/.test(text) ? [] : [{ kind: 'execute', nth, parameter: 'y' } as const],
      );
      await doAll(pair, [...(cases[at]?.after ?? []), ...questions, ...executions]);
    }),
  );
  return pairs.map(({ outcome }) => outcome);
}

/** GET DIAGNOSTICS is not told what the statement before has left, where the proxy has asked its own questions meanwhile. */
function halfOf(steps: readonly SessionStep[]): number {
  const half = Math.floor(steps.length / 2);
  const isAsked = (step: SessionStep | undefined) => step?.kind === 'query' && step.text.includes('GET DIAGNOSTICS');
  return isAsked(steps[half]) ? half + 1 : half;
}

function isOver({ failure, stayed }: CaseOutcome): boolean {
  return failure !== null || stayed.length > 0;
}

/** One after the other, as long as both answer alike. */
async function doAll(
  { isOld, comparesColumns, isApart, moved, never, outcome }: Pair,
  steps: readonly SessionStep[],
): Promise<void> {
  for (const step of steps) {
    if (isOver(outcome)) return;
    try {
      // The moved one first: by then both may be on the same server.
      const one = await withinTime(moved.do(step), 'an answer through the proxy');
      const other = await withinTime(never.do(step), 'an answer without it');
      const what = isApart ? null : firstDifference(one, other, { step, isOld, comparesColumns });
      if (isApart && isRefused(one) !== isRefused(other))
        outcome.stayed.push(`only one of the servers takes ${JSON.stringify(step)}`);
      else if (what !== null) outcome.failure = { step, what };
      else if (other.includes('closed')) outcome.stayed.push('the server closed it');
    } catch (error) {
      outcome.failure = { step, what: String(error) };
    }
  }
}

/** A session that may stay, for reasons that are told, does so. One that has ended may not. */
async function letGoWhatStays(stage: StateStage, { moved, outcome }: Pair): Promise<void> {
  if (!isOver(outcome)) {
    const view = await idleView(stage, moved.localPort);
    if (view === undefined) outcome.failure = { step: null, what: 'it has ended before the move' };
    else if (view.inTransaction) outcome.stayed.push('open transaction');
    else outcome.stayed.push(...view.pins);
  }
  if (isOver(outcome)) await moved[Symbol.asyncDispose]();
}

/** What the proxy says of it once nothing is under way, its own questions neither. */
async function idleView({ proxy }: StateStage, port: number) {
  const look = async () => {
    for (;;) {
      const view = (await proxy.sessions()).find(({ address }) => address.endsWith(`:${port}`));
      if (view === undefined || view.state === 'closing') return undefined;
      if (view.state === 'idle') return view;
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
  };
  return withinTime(look(), 'an idle session');
}

/** Those that the switch waits for are let go, like those that were known to stay: why they do may come out in the hold only. */
async function moveAll(
  { proxy }: StateStage,
  pairs: readonly Pair[],
  { to, preparation }: { to: Side; preparation: Preparation },
): Promise<void> {
  const switched = proxy.switchTo(to, { prepare: preparation === 'late', deadlineMs: 60_000 });
  try {
    await withinTime(switched, 'the end of the switch');
  } catch {
    for (const { address, reasons } of proxy.acks(proxy.record.epoch).at(-1)?.undrained ?? []) {
      const found = pairs.find(({ moved }) => address.endsWith(`:${moved.localPort}`));
      if (found === undefined) continue;
      const isNamed = reasons.length > 0 && !reasons.includes('a command is running');
      if (isNamed) found.outcome.stayed.push(...reasons.map((reason) => `${reason} (known in the hold only)`));
      else found.outcome.failure = { step: null, what: `keeps the switch waiting: ${reasons.join(', ')}` };
      await found.moved[Symbol.asyncDispose]();
    }
    await withinTime(switched, 'the end of the switch');
  }
}

/** The whole of it, or its last statement. */
function isRefused(answer: StepAnswer): boolean {
  const last = answer.at(-1);
  return last instanceof Buffer && last[0] === ERR_HEADER;
}

function firstDifference(
  one: StepAnswer,
  other: StepAnswer,
  { step, isOld, comparesColumns }: { step: SessionStep; isOld: boolean; comparesColumns: boolean },
): string | null {
  // The proxy answers these by statements of its own, whose columns are defined otherwise.
  const isRewritten = step.kind === 'query' && /SHOW (?:WARNINGS|ERRORS|COUNT)/i.test(step.text);
  const linesOf = (answer: StepAnswer) =>
    readableAnswer(answer, { isPrepare: step.kind === 'prepare', isFetch: step.kind === 'fetch', isOld }).filter(
      (line) => (comparesColumns && !isRewritten) || !line.startsWith('column'),
    );
  const [moved, never] = [linesOf(one), linesOf(other)];
  const differing = Array.from({ length: Math.max(moved.length, never.length) }, (_, line) => line).filter(
    (line) => moved[line] !== never[line],
  );
  // A value says more than its type.
  const at = differing.find((line) => never[line]?.startsWith('row') === true) ?? differing[0];
  if (at === undefined) return null;
  return `answered ${JSON.stringify(moved[at] ?? 'nothing')}, where without the proxy it is ${JSON.stringify(never[at] ?? 'nothing')}`;
}
