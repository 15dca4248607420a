import type { PrepareReport } from '../core/control/protocol.ts';
import type { Destination } from './backend-connection.ts';
import type { Session } from './session.ts';

/** Logins at a time: they cost the server a thread and, with a hashed password, noticeable work each. */
const CONCURRENCY = 16;

/** Opens every session's connection to `destination` ahead of a switch; the busiest first, as the time may not do for all. */
export async function prepareSessions(sessions: readonly Session[], destination: Destination): Promise<PrepareReport> {
  const report: PrepareReport = { prepared: 0, failures: [], pinned: [] };
  const waiting = sessions.toSorted((one, other) => other.bytesIn - one.bytesIn);
  const next = async (): Promise<void> => {
    for (let session = waiting.shift(); session !== undefined; session = waiting.shift()) {
      const pins = session.pins();
      const described = session.describe(pins);
      if (pins.length > 0) report.pinned.push(described);
      try {
        await session.prepareMove(destination);
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
