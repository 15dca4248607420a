import type { Side } from '../../core/phase.ts';
import type { SwitchRefusal } from '../api.ts';
import type { SwitchWorld } from './switch-world.ts';
import { refusal } from './refusal-table.ts';

/** Longest wait for rows that were written since the verification to be compared again; not by whoever goes on without. */
const DRAIN_MS = 10_000;
/** After so long few rows are little enough for the pause: some ten milliseconds. */
const FEW_AFTER_MS = 1000;
const FEW_ROWS = 1000;
const NEEDED = 'VERIFICATION_NEEDED';

export interface VerificationFindings {
  refusals: SwitchRefusal[];
  warnings: string[];
}

/**
 * Also compares what was written since, so that little is left for the pause. Answers whether the rows are equal by now, but for few
 * that were written last: they have to be at the decision.
 */
export async function checkVerification(
  world: SwitchWorld,
  { to, isForced }: { to: Side; isForced: boolean },
  findings: VerificationFindings,
): Promise<boolean> {
  const { verification } = world;
  const { state, primary } = verification.view ?? {};
  const isKept = state === 'equal' || state === 'rechecking';
  const behind = isKept && to !== primary ? await compareLast(verification, isForced) : null;
  // Looked at behind that: what it has found counts, be it stored or not.
  checkVerdict(verification, behind, findings);
  checkCascades(world, to, findings.refusals);
  return isKept && to !== primary && behind === null && verification.view?.state === 'equal';
}

/** Null when few rows are left: some that are written all the time can be compared behind the fence only. */
async function compareLast(verification: SwitchWorld['verification'], isForced: boolean): Promise<string | null> {
  for (const waitMs of isForced ? [FEW_AFTER_MS] : [FEW_AFTER_MS, DRAIN_MS]) {
    try {
      await verification.drain(AbortSignal.timeout(waitMs));
      return null;
    } catch {
      const { keys = 0, tables = [] } = verification.view?.recheck ?? {};
      if (tables.length === 0 && keys <= FEW_ROWS) return null;
    }
  }
  const { recheck, reason } = verification.view ?? {};
  const { keys = 0, tables = [] } = recheck ?? {};
  const whole = tables.length === 0 ? '' : ` and all of ${tables.join(', ')}`;
  const why = reason == null ? '' : ` (${reason})`;
  return `${keys} rows${whole} were written or changed by DDL since the verification and could not be compared again within ${(isForced ? FEW_AFTER_MS : DRAIN_MS) / 1000} s${why}`;
}

function checkVerdict(
  { view }: SwitchWorld['verification'],
  behind: string | null,
  { refusals, warnings }: VerificationFindings,
): void {
  if (behind !== null) refusals.push(refusal('VERIFICATION_BEHIND', behind));
  if (view === null) return;
  switch (view.state) {
    case 'different':
    case 'paused':
    case 'failed': {
      const message =
        view.state === 'different'
          ? 'the verification found differing rows'
          : `the last verification did not finish: ${view.reason ?? view.state}`;
      refusals.push(refusal('VERIFICATION_NOT_EQUAL', message));
      return;
    }
    case 'stale':
      warnings.push(`VERIFICATION_STALE: the last verification is of an earlier time: ${view.reason ?? ''}`);
      return;
    case 'rechecking':
      if (behind === null) refusals.push(refusal('VERIFICATION_BEHIND', `not all is compared: ${view.reason}`));
      return;
    case 'running':
      refusals.push(refusal('VERIFICATION_RUNNING', 'a verification runs that has no verdict yet'));
      return;
    case 'equal':
      return;
    default:
      throw new Error(`unknown state ${String(view.state satisfies never)}`);
  }
}

/** What foreign keys did during the copy, and the source did not log, is known to be right only when it has been compared. */
function checkCascades({ record, verification }: SwitchWorld, to: Side, refusals: SwitchRefusal[]): void {
  const { findings, switches } = record.document;
  const isConcerned = findings.some(({ code, side }) => code === 'FOREIGN_KEY_CASCADES' && side === 'source');
  const state = verification.view?.state;
  // What is different is refused already.
  const isCompared = state === 'equal' || state === 'rechecking' || state === 'stale' || state === 'different';
  // A switch that asked for it may have been forced: then they are as the copy has left them still.
  const wasCompared = switches.some(
    (past) => past.kind === 'primaries' && past.to === 'target' && !past.forced.includes(NEEDED),
  );
  if (to === 'source' || !isConcerned || isCompared || wasCompared) return;
  const message =
    'the source does not log what its foreign keys change (CASCADE, SET NULL), and the rows have not been verified since the copy';
  refusals.push(refusal(NEEDED, message));
}
