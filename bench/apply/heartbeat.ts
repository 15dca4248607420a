import { setTimeout as delay } from 'node:timers/promises';
import type { ServerDefinition } from '../../engine/api.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import { SYSBENCH_DATABASE } from '../sysbench-tables.ts';

const TABLE = `${SYSBENCH_DATABASE}.heartbeat`;
const BEAT_MS = 10;
const LOOK_MS = 2;

export async function makeHeartbeatTable(connection: ServerConnection): Promise<void> {
  await connection.write(`CREATE TABLE ${TABLE} (id INT PRIMARY KEY, beat INT NOT NULL)`);
  await connection.write(`INSERT INTO ${TABLE} VALUES (1, 0)`);
}

export interface LagSamples {
  /** From before the COMMIT was sent to the source until a read of the target showed it. */
  fromSentMs: number[];
  /** From when the source had answered the COMMIT; 0 where the target was faster than the answer. */
  fromAnsweredMs: number[];
}

/**
 * A row that is counted up on the source every few milliseconds and read on the target all the time. Small beside the
 * load, and each beat is a transaction like the others: it waits for its place in the stream as they do.
 */
export async function measureLag(
  source: ServerDefinition,
  target: ServerDefinition,
  signal: AbortSignal,
): Promise<LagSamples> {
  await using writer = await ServerConnection.open(source);
  await using reader = await ServerConnection.open(target);
  const sentAt: number[] = [];
  const answeredAt: number[] = [];
  const samples: LagSamples = { fromSentMs: [], fromAnsweredMs: [] };
  let seen = await beatOf(reader);
  const first = seen + 1;
  const writing = beat();
  for (;;) {
    const beatSeen = await beatOf(reader);
    const at = performance.now();
    for (; seen < beatSeen; seen += 1) {
      const index = seen + 1 - first;
      samples.fromSentMs.push(at - (sentAt[index] ?? at));
      samples.fromAnsweredMs.push(at - (answeredAt[index] ?? at));
    }
    if (signal.aborted && seen === first + sentAt.length - 1) break;
    await delay(LOOK_MS);
  }
  await writing;
  return samples;

  async function beat(): Promise<void> {
    const startedAt = performance.now();
    for (let number = 0; !signal.aborted; number += 1) {
      await delay(Math.max(0, startedAt + number * BEAT_MS - performance.now()));
      sentAt.push(performance.now());
      await writer.write(`UPDATE ${TABLE} SET beat=beat+1 WHERE id=1`);
      answeredAt.push(performance.now());
    }
  }
}

async function beatOf(connection: ServerConnection): Promise<number> {
  const [row] = await connection.rows(`SELECT beat FROM ${TABLE} WHERE id=1`);
  return Number(row?.[0] ?? 0);
}
