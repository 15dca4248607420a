import { setTimeout as delay } from 'node:timers/promises';
import type { ServerDefinition } from '../../engine/api.ts';
import { errnoOf, ServerConnection } from '../../engine/server/connection.ts';
import type { SysbenchTables } from '../sysbench-tables.ts';
import { WriteOnlyTransactions } from '../write-only-transactions.ts';

export interface LoadTask {
  server: ServerDefinition;
  tables: SysbenchTables;
  perSecond: number;
  seconds: number;
  connections: number;
}

/** Steady write-only transactions, in a process of its own; at the end it says how many were committed. */
const task = JSON.parse(process.env['LOAD_TASK'] ?? '{}') as LoadTask;
const intervalMs = (1000 * task.connections) / task.perSecond;
const startedAt = performance.now();
const committed = await Promise.all(Array.from({ length: task.connections }, (_, index) => client(index)));
const seconds = (performance.now() - startedAt) / 1000;
process.send?.({ transactions: committed.reduce((sum, count) => sum + count, 0), seconds });
process.disconnect();

/** Falls behind when the server does, and then sends without a pause until it is on time again. */
async function client(index: number): Promise<number> {
  await using connection = await ServerConnection.open(task.server, { multiStatements: true });
  const transactions = new WriteOnlyTransactions(task.tables, { seed: 1000 + index });
  let count = 0;
  for (let number = 0; ; number += 1) {
    const dueMs = (number + index / task.connections) * intervalMs;
    if (dueMs >= task.seconds * 1000) return count;
    const waitMs = startedAt + dueMs - performance.now();
    if (waitMs > 1) await delay(waitMs);
    try {
      await connection.batch(transactions.next());
      count += 1;
    } catch (error) {
      // Two clients that meet on hot rows: the deadlock is the workload's own.
      if (errnoOf(error) !== 1213) throw error;
      await connection.write('ROLLBACK');
    }
  }
}
