import { systemClock } from '../../core/clock.ts';
import type { PinnedSession } from '../../core/control/protocol.ts';
import type { SwitchRefusal } from '../api.ts';
import type { SwitchPlan, SwitchWorld } from './switch-world.ts';
import { refusal } from './refusal-table.ts';

/** How often it is looked before a session counts as one that will not let go within the time of a drain. */
const LOOKS = 4;
const LOOK_MS_MAX = 500;

/**
 * Sessions that keep what keeps them on their server (a user lock, a temporary table …) for as long as a drain may last.
 * A switch would hold all traffic for them, several times, and be undone. One that lets go for a moment is no reason: the
 * drain waits for such a moment, too.
 */
export async function checkPinned(
  { fleet }: Pick<SwitchWorld, 'fleet'>,
  { to, drainPolicy, drainBudgetMs }: SwitchPlan,
  pinned: readonly PinnedSession[],
): Promise<{ refusals: SwitchRefusal[]; warnings: string[] }> {
  let stubborn = pinned;
  // Those that are to be closed in the end need not be waited for.
  const looks = drainPolicy === 'abort' ? LOOKS : 0;
  for (let look = 0; look < looks && stubborn.length > 0; look += 1) {
    await systemClock.sleep(Math.min(LOOK_MS_MAX, drainBudgetMs / LOOKS));
    const { sessions } = await fleet.backends();
    const pins = new Map(sessions.map((session) => [session.sessionId, session.pins]));
    stubborn = stubborn
      .map((one) => ({ ...one, reasons: one.reasons.filter((pin) => pins.get(one.sessionId)?.includes(pin)) }))
      .filter(({ reasons }) => reasons.length > 0);
  }
  const named = stubborn.map(({ user, address, reasons }) => `${user} from ${address}: ${reasons.join(', ')}`);
  if (drainPolicy === 'close-sessions')
    return { refusals: [], warnings: named.map((name) => `ended by the switch if it does not end itself: ${name}`) };
  const refusals = named.map((name) =>
    refusal('SESSION_PINNED', `a session cannot be moved to the ${to} while it has what only its server has: ${name}`),
  );
  return { refusals, warnings: [] };
}
