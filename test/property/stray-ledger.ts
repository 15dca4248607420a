import { setTimeout as delay } from 'node:timers/promises';
import type { RunningServer } from '../../servers/running-server.ts';
import { connect, rows } from '../support/query.ts';
import type { Difference } from './compare-databases.ts';
import type { ScheduleRun } from './run-schedule.ts';
import type { BasicStep } from './schedule.ts';
import { DATABASE } from './soak-stage.ts';
import type { CountStatement } from './writer.ts';

export const STRAYS = 'soak_strays';
/** Of these writers and strays both write; the others are made by strays. */
export const SHARED_ROWS = 5;
const WATCHED_MS = 20_000;

/**
 * Writes on the source past the proxy, as of an application that was forgotten. Each has a number of its own, so that at the end
 * it can be told what has become of it: it is on the target, or kept as a stray write, never neither and never twice; and what differs
 * between the sides is what has been kept.
 */
export class StrayLedger {
  readonly #run: ScheduleRun;
  /** Inserts that were acknowledged. */
  readonly #inserted = new Set<number>();
  readonly #sent = new Set<number>();

  constructor(run: ScheduleRun) {
    this.#run = run;
  }

  async write({ from, count }: Extract<BasicStep, { kind: 'stray' }>): Promise<void> {
    await using connection = await connect(this.#run.stage.servers.source, DATABASE);
    for (let n = from; n < from + count; n += 1) {
      const isInsert = n % 3 !== 0;
      this.#sent.add(n);
      const sql = isInsert
        ? `INSERT INTO ${STRAYS} (id, stray) VALUES (${1000 + n}, ${n})`
        : `UPDATE ${STRAYS} SET stray = ${n} WHERE id = ${n % SHARED_ROWS}`;
      const outcome = await connection.query(sql).then(
        () => 'stray',
        () => 'stray refused',
      );
      if (outcome === 'stray' && isInsert) this.#inserted.add(n);
      this.#run.count(outcome);
    }
  }

  /** For writers that write what stray writes are made of, too. */
  ofWriter(id: number): CountStatement[] {
    return [{ sql: `UPDATE ${STRAYS} SET written = written + 1 WHERE id = ?`, values: [id % SHARED_ROWS] }];
  }

  /** Writers have stopped and the streams are at the end. `isEqual`: both sides have the same rows. */
  async check(): Promise<{ differences: Difference[]; isEqual: boolean }> {
    if (this.#sent.size === 0) return { differences: [], isEqual: true };
    const deadline = Date.now() + WATCHED_MS;
    for (;;) {
      const result = await this.#look();
      // The watch may be behind.
      if (result.differences.length === 0 || Date.now() > deadline) return result;
      await delay(200);
    }
  }

  async #look(): Promise<{ differences: Difference[]; isEqual: boolean }> {
    const { source, target } = this.#run.stage.servers;
    const kept = await this.#kept();
    const [here, there] = [await contents(source), await contents(target)];
    const wrong: string[] = [];
    for (const n of this.#inserted)
      if (!kept.includes(n) && !there.has(1000 + n)) wrong.push(`stray write ${n} is neither kept nor on the target`);
    for (const n of kept) {
      if (!this.#sent.has(n)) wrong.push(`a stray write was kept that nobody has made: ${n}`);
      if (kept.filter((one) => one === n).length > 1) wrong.push(`stray write ${n} was kept twice`);
    }
    let isEqual = true;
    for (const id of new Set([...here.keys(), ...there.keys()])) {
      const [row, other] = [here.get(id), there.get(id)];
      if (row?.text === other?.text) continue;
      isEqual = false;
      if (row === undefined || !kept.includes(row.stray))
        wrong.push(`row ${id} is ${row?.text} on the source and ${other?.text} on the target`);
    }
    return { differences: wrong.map((what) => ({ table: STRAYS, what })), isEqual };
  }

  /** Those that are kept, by their numbers; NaN for what is none of ours. */
  async #kept(): Promise<number[]> {
    const numbers: number[] = [];
    for (let after = 0; ;) {
      const { client } = this.#run.stage.switchyard;
      const page = await client.strayWrites(this.#run.importId, { after, limit: 1000 });
      numbers.push(...page.map((write) => (write.table === STRAYS ? Number(write.after?.['stray']) : Number.NaN)));
      const last = page.at(-1);
      if (last === undefined) return numbers;
      after = last.id;
    }
  }
}

async function contents(server: RunningServer): Promise<Map<number, { text: string; stray: number }>> {
  await using connection = await connect(server, DATABASE);
  const found = await rows(connection, `SELECT id, stray, written FROM ${STRAYS}`);
  return new Map(
    found.map(({ id, stray, written }) => [
      Number(id),
      { text: `${String(stray)} ${String(written)}`, stray: Number(stray) },
    ]),
  );
}
