import type mysql from 'mysql2/promise';
import type { RunningServer } from '../../servers/running-server.ts';
import { connect, rows } from '../support/query.ts';
import type { Difference } from './compare-databases.ts';
import type { ScheduleRun } from './run-schedule.ts';
import { DATABASE } from './soak-stage.ts';
import { COUNTERS, type Counting, type Writer } from './writer.ts';

/** Rows that writers and testers both count up. */
const MEETINGS = 'soak_meetings';
/** One row for each transaction of a tester, and whether it has counted up one of the others. */
const TESTED = 'soak_tested';
const MEETING_ROWS = 100;
const TRANSACTIONS_MAX = 1_000_000;

/**
 * Writes on the target while the source is primary (`reverse: always`). Each transaction of a tester inserts a row of its own and counts up
 * one that writers count up, too. So at the end it is on both sides, or kept as a conflict, never neither and never both; and of what
 * writers counted nothing is missing, whatever was written over whose row.
 */
export class TesterLedger {
  readonly #run: ScheduleRun;

  constructor(run: ScheduleRun) {
    this.#run = run;
  }

  get #isUsed(): boolean {
    return this.#run.schedule.options.reverse === 'always';
  }

  async prepare(source: mysql.Connection): Promise<void> {
    if (!this.#isUsed) return;
    await source.query(
      `CREATE TABLE ${MEETINGS} (id INT PRIMARY KEY, written BIGINT NOT NULL, tested BIGINT NOT NULL); CREATE TABLE ${TESTED} (n BIGINT PRIMARY KEY, met BOOL NOT NULL)`,
    );
    const list = Array.from({ length: MEETING_ROWS }, (_, id) => `(${id}, 0, 0)`);
    await source.query(`INSERT INTO ${MEETINGS} VALUES ${list.join(',')}`);
  }

  /** In one statement, so that it may also stand alone. */
  ofWriter(id: number): Counting | null {
    if (!this.#isUsed) return null;
    const count = (transaction: number) => ({
      sql: `UPDATE ${COUNTERS} AS c, ${MEETINGS} AS m SET c.n = c.n + 1, m.written = m.written + 1 WHERE c.id = ? AND m.id = ?`,
      values: [id, (id + transaction) % MEETING_ROWS],
    });
    return { within: (transaction) => [count(transaction)], alone: count };
  }

  ofTester(id: number): Counting {
    return {
      within: (transaction) => {
        const meets = transaction % 2;
        const row = (id + transaction) % MEETING_ROWS;
        return [
          { sql: `UPDATE ${MEETINGS} SET tested = tested + ? WHERE id = ?`, values: [meets, row] },
          { sql: `INSERT INTO ${TESTED} VALUES (?, ?)`, values: [numberOf(id, transaction), meets] },
        ];
      },
      alone: null,
    };
  }

  /** Both sides are equal in everything; looked at is the source. */
  async check(writers: readonly Writer[], testers: readonly Writer[]): Promise<Difference[]> {
    if (!this.#isUsed) return [];
    const { servers } = this.#run.stage;
    const brought = await broughtTo(servers.source);
    const kept = await this.#kept();
    this.#run.count('tested, brought', brought.size);
    this.#run.count('tested, in conflict', kept.length);
    const wrong: string[] = [];
    const known = new Set<number>();
    for (const { id, acknowledged, unknown } of testers) {
      for (const transaction of [...acknowledged, ...unknown]) known.add(numberOf(id, transaction));
      for (const transaction of acknowledged) {
        const n = numberOf(id, transaction);
        if (!brought.has(n) && !kept.includes(n))
          wrong.push(`transaction ${n} of a tester is neither kept nor brought`);
      }
    }
    for (const n of kept) {
      if (!known.has(n)) wrong.push(`a conflict was kept that nobody has made: ${n}`);
      if (brought.has(n)) wrong.push(`transaction ${n} of a tester was brought, and kept as a conflict`);
    }
    if (new Set(kept).size !== kept.length) wrong.push('a conflict was kept twice');
    await using connection = await connect(servers.source, DATABASE);
    const [sums] = await rows(
      connection,
      `SELECT CAST(SUM(written) AS SIGNED) AS written, CAST(SUM(tested) AS SIGNED) AS tested, (SELECT CAST(SUM(n) AS SIGNED) FROM ${COUNTERS}) AS counted, (SELECT CAST(SUM(met) AS SIGNED) FROM ${TESTED}) AS met FROM ${MEETINGS}`,
    );
    if (Number(sums?.['tested']) !== Number(sums?.['met'] ?? 0))
      wrong.push(`testers counted up ${String(sums?.['tested'])} in ${String(sums?.['met'])} transactions`);
    if (writers.length > 0 && Number(sums?.['written']) !== Number(sums?.['counted']))
      wrong.push(`writers counted up ${String(sums?.['written'])} in ${String(sums?.['counted'])} transactions`);
    return wrong.map((what) => ({ table: TESTED, what }));
  }

  /** The numbers of the transactions that are kept as conflicts. */
  async #kept(): Promise<number[]> {
    const numbers: number[] = [];
    for (let after = 0; ;) {
      const { client } = this.#run.stage.switchyard;
      const page = await client.conflicts(this.#run.importId, { after, limit: 1000 });
      for (const { table, after: image } of page) if (table === TESTED) numbers.push(Number(image?.['n']));
      const last = page.at(-1);
      if (last === undefined) return numbers;
      after = last.id;
    }
  }
}

function numberOf(id: number, transaction: number): number {
  return id * TRANSACTIONS_MAX + transaction;
}

async function broughtTo(server: RunningServer): Promise<Set<number>> {
  await using connection = await connect(server, DATABASE);
  return new Set((await rows(connection, `SELECT n FROM ${TESTED}`)).map(({ n }) => Number(n)));
}
