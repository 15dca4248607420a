import type { PrepareReport } from '../core/control/protocol.ts';
import type { Destination } from './backend-connection.ts';
import type { Session } from './session.ts';

/** Logins at a time: they cost the server a thread and, with a hashed password, noticeable work each. */
const CONCURRENCY = 16;

/** How long the switch may take from the end of the preparation to its decision; then the connections are given back. */
const UNUSED_MS = 30_000;

/** Opens every session's connection to `destination` ahead of a switch; the busiest first, as the time may not do for all. */
export async function prepareSessions(
  sessions: readonly Session[],
  destination: Destination,
  budgetMs: number,
): Promise<PrepareReport> {
  const report: PrepareReport = { prepared: 0, failures: [], pinned: [], left: 0 };
  const deadlineMs = performance.now() + budgetMs;
  const waiting = sessions.toSorted((one, other) => other.bytesIn - one.bytesIn);
  const next = async (): Promise<void> => {
    for (let session = waiting.shift(); session !== undefined; session = waiting.shift()) {
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) {
        report.left += 1;
        continue;
      }
      const pins = session.pins();
      const described = session.describe(pins);
      if (pins.length > 0) report.pinned.push(described);
      try {
        await session.prepareMove(destination, leftMs + UNUSED_MS);
        report.prepared += 1;
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        report.failures.push({ user: described.user, address: described.address, reason });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, waiting.length) }, next));
  return report;
}
