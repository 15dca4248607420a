import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import type { RunningServer } from '../../servers/running-server.ts';
import { SYSBENCH_DATABASE, sysbenchTableName } from '../sysbench-tables.ts';

const TABLES = 4;

/** Updates of single rows at a steady rate, until it is stopped. */
export class SteadyWrites {
  readonly #perSecond: number;
  readonly #done: Promise<number>;
  readonly #startedAtMs = performance.now();
  #isStopped = false;

  constructor(server: RunningServer, perSecond: number) {
    this.#perSecond = perSecond;
    this.#done = this.#run(server);
  }

  async stop(): Promise<{ perSecond: number }> {
    this.#isStopped = true;
    const writes = await this.#done;
    return { perSecond: (writes / (performance.now() - this.#startedAtMs)) * 1000 };
  }

  async #run(server: RunningServer): Promise<number> {
    const connection = await mysql.createConnection({ uri: server.dsn, database: SYSBENCH_DATABASE });
    let writes = 0;
    try {
      while (!this.#isStopped) {
        const dueAtMs = this.#startedAtMs + (writes / this.#perSecond) * 1000;
        const waitMs = dueAtMs - performance.now();
        if (waitMs > 1) await delay(waitMs);
        const table = sysbenchTableName(1 + (writes % TABLES));
        await connection.execute(`UPDATE ${table} SET k = k + 1, c = REVERSE(c) WHERE id = ?`, [
          1 + ((writes * 7919) % 50_000),
        ]);
        writes += 1;
      }
    } finally {
      await connection.end();
    }
    return writes;
  }
}
