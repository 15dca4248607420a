import { systemClock } from '../../core/clock.ts';
import type { ServerConnection } from '../server/connection.ts';
import { errnoOf } from '../server/connection.ts';
import { readSessions } from './process-list.ts';

const POLL_MS = 20;
const ENDING_MS = 2000;
/** The session has ended by itself. */
const UNKNOWN_THREAD = 1094;

/**
 * Ends sessions of ours by their ids, and resolves when they are gone: a statement that still waits on the server
 * (a fence going up) must not be done after it was undone. An id that another user has by now is left alone: the server
 * was restarted, and ours ended with it.
 */
export async function endStatements(connection: ServerConnection, threads: readonly number[]): Promise<void> {
  if (threads.length === 0) return;
  const deadlineMs = systemClock.monotonicMs() + ENDING_MS;
  for (;;) {
    const left = (await readSessions(connection)).filter(
      ({ id, user }) => threads.includes(id) && id !== connection.threadId && user === connection.server.user,
    );
    if (left.length === 0) return;
    if (systemClock.monotonicMs() > deadlineMs)
      throw new Error(`${left.length} sessions of Switchyard did not end within ${ENDING_MS} ms`);
    for (const { id } of left) {
      await connection.write(`KILL ${id}`).catch((error: unknown) => {
        if (errnoOf(error) !== UNKNOWN_THREAD) throw error;
      });
    }
    await systemClock.sleep(POLL_MS);
  }
}
