import { runCases, type CaseOutcome } from './run-cases.ts';
import type { SessionCase } from './session-case.ts';
import { PLACES, type StateStage } from './state-stage.ts';

/**
 * A case with fewer steps that still fails: leaves out halves, quarters, … of them, as many tries at once as there are
 * places (delta debugging, Zeller 2002).
 */
export async function shrinkCase(
  stage: StateStage,
  failing: SessionCase,
): Promise<{ kept: SessionCase; outcome: CaseOutcome }> {
  const [outcome] = await runCases(stage, [failing]);
  if (outcome === undefined) throw new Error('no outcome');
  let smallest = { kept: failing, outcome };
  // What it met in its batch is not there alone.
  if (outcome.failure === null) return smallest;
  for (let size = Math.ceil(stepsOf(failing) / 2); size >= 1;) {
    const found = await firstThatFails(stage, without(smallest.kept, size));
    if (found !== null) smallest = found;
    else size = size === 1 ? 0 : Math.ceil(size / 2);
  }
  return smallest;
}

async function firstThatFails(
  stage: StateStage,
  candidates: readonly SessionCase[],
): Promise<{ kept: SessionCase; outcome: CaseOutcome } | null> {
  for (let at = 0; at < candidates.length; at += PLACES) {
    const tried = candidates.slice(at, at + PLACES);
    const outcomes = await runCases(stage, tried);
    const index = outcomes.findIndex(({ failure }) => failure !== null);
    const [kept, outcome] = [tried[index], outcomes[index]];
    if (kept !== undefined && outcome !== undefined) return { kept, outcome };
  }
  return null;
}

function stepsOf({ before, after }: SessionCase): number {
  return before.length + after.length;
}

/** One candidate for each piece of `size` steps that is left out. */
function without(whole: SessionCase, size: number): SessionCase[] {
  const count = Math.ceil(stepsOf(whole) / size);
  return Array.from({ length: count }, (_, piece) => {
    const isKept = (index: number) => Math.floor(index / size) !== piece;
    const before = whole.before.filter((_step, index) => isKept(index));
    const after = whole.after.filter((_step, index) => isKept(whole.before.length + index));
    return { ...whole, before, after };
  });
}
