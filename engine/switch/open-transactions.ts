import type { SwitchCheck } from './switch-preflight.ts';
import { holdDuring, type SwitchPlan, type SwitchWorld } from './switch-world.ts';
import { refusal } from './refusal-table.ts';

/** A transaction that is older than so many times what a drain waits will hardly end within the next one. */
const DRAINS_OLD = 5;
/** Below it nobody has to be asked: it may be a slow page, and the switch tries three times. */
const OLD_MS_MIN = 10_000;
const NAMES_MAX = 10;

/**
 * Sessions whose transaction has been open for long: a report, a forgotten BEGIN. A switch would hold all traffic for
 * them, three times, and be undone. A statement that runs outside a transaction has no age here: the server tells of a
 * transaction with the end of a statement.
 */
export async function checkOpenTransactions(
  { fleet, record, route }: Pick<SwitchWorld, 'fleet' | 'record' | 'route'>,
  plan: SwitchPlan,
  { refusals, warnings }: Pick<SwitchCheck, 'refusals' | 'warnings'>,
): Promise<void> {
  const { document } = record;
  const { drainBudgetMs } = plan;
  const hold = holdDuring(document, plan, await route.of(document.id));
  const oldMs = Math.max(OLD_MS_MIN, DRAINS_OLD * drainBudgetMs);
  // A proxy that does not answer is refused or warned of already, as one whose sessions are not known.
  const { sessions } = await fleet.backends().catch(() => ({ sessions: [] }));
  const old = sessions
    .filter(({ role }) => hold === 'all' || hold === role)
    .map(({ user, address, transactionAgeMs }) => ({ user, address, ageMs: transactionAgeMs ?? 0 }))
    .filter(({ ageMs }) => ageMs > oldMs)
    .toSorted((one, other) => other.ageMs - one.ageMs);
  if (old.length === 0) return;
  const named = old.map(
    ({ user, address, ageMs }) => `${user} from ${address}: open transaction, ${Math.round(ageMs / 1000)} s old`,
  );
  if (plan.drainPolicy === 'close-sessions') {
    warnings.push(...named.map((name) => `ended by the switch if it does not end itself: ${name}`));
    return;
  }
  const further = old.length > NAMES_MAX ? `; and ${old.length - NAMES_MAX} more` : '';
  refusals.push(
    refusal(
      'TRANSACTIONS_OPEN',
      `a switch waits ${drainBudgetMs} ms for open transactions, and these are older than ${oldMs / 1000} s: ${named.slice(0, NAMES_MAX).join('; ')}${further}. End them, have the switch end their sessions (--policy close-sessions) or wait longer (--drain-budget-ms), or try it none the less (--force)`,
    ),
  );
}
