import type { ShopSize } from '../../demo/shop-size.ts';
import type { Ledger } from './ledger.ts';
import { ACCOUNTS } from './ledger-tables.ts';
import type { TrafficConnection } from './traffic-connection.ts';

export interface OperationContext {
  session: number;
  ledger: Ledger;
  primary: TrafficConnection;
  /** Where reads go that need not be the newest. */
  replica: TrafficConnection;
  /** Sizes of the shop's tables; null: the workload's own tables only. */
  shop: ShopSize | null;
}

export interface Operation {
  name: string;
  /** How often, relative to the others. */
  weight: number;
  run(context: OperationContext): Promise<void>;
}

/** A statement answered, but with something that cannot be: worse than an error. */
export class WrongAnswer extends Error {
  override readonly name = 'WrongAnswer';
}

const LEDGER_INSERT = 'INSERT INTO traffic_ledger (session, sequence, kind, note) VALUES (?, ?, ?, ?)';

export const LEDGER_OPERATIONS: readonly Operation[] = [
  {
    name: 'autocommit insert',
    weight: 3,
    run: ({ session, ledger, primary }) =>
      ledger.insert(session, async (sequence) => {
        await primary.query(
          `INSERT INTO traffic_ledger (session, sequence, kind, note) VALUES (${session}, ${sequence}, 'autocommit', 'grüße 🚚')`,
        );
      }),
  },
  {
    name: 'prepared insert',
    weight: 3,
    run: ({ session, ledger, primary }) =>
      ledger.insert(session, async (sequence) => {
        await primary.execute(LEDGER_INSERT, [session, sequence, 'prepared', `prepared ${sequence}`]);
      }),
  },
  {
    name: 'increment',
    weight: 2,
    run: ({ session, ledger, primary }) =>
      ledger.increment(session, async () => {
        await primary.query(`UPDATE traffic_counters SET value = value + 1 WHERE session = ${session}`);
      }),
  },
  {
    name: 'transfer',
    weight: 3,
    run: ({ session, ledger, primary }) =>
      ledger.insert(session, async (sequence) => {
        const [from, to] = twoAccounts();
        await primary.query('BEGIN');
        // In the order of their keys, so that transfers never deadlock.
        const changes =
          from < to
            ? [
                [-7, from],
                [7, to],
              ]
            : [
                [7, to],
                [-7, from],
              ];
        for (const [amount = 0, account = 0] of changes) {
          await primary.execute('UPDATE traffic_accounts SET balance = balance + ? WHERE id = ?', [amount, account]);
        }
        await primary.execute(LEDGER_INSERT, [session, sequence, 'transaction', `${from} to ${to}`]);
        await primary.query('COMMIT');
      }),
  },
  {
    name: 'rollback',
    weight: 1,
    run: async ({ session, primary }) => {
      await primary.query('START TRANSACTION');
      await primary.execute('UPDATE traffic_counters SET value = value + 1000000 WHERE session = ?', [session]);
      await primary.query('ROLLBACK');
    },
  },
  {
    name: 'read own write',
    weight: 3,
    run: async ({ session, ledger, primary }) => {
      const last = ledger.of(session).lastAcknowledged;
      if (last === null) return;
      const rows = await primary.execute('SELECT note FROM traffic_ledger WHERE session = ? AND sequence = ?', [
        session,
        last,
      ]);
      if (rows.length !== 1) throw new WrongAnswer(`own acknowledged write ${session}:${last} is not on the primary`);
    },
  },
  {
    name: 'session state',
    weight: 1,
    run: async ({ session, primary }) => {
      const [row] = await primary.query('SELECT @traffic_session AS session, @@session.time_zone AS zone');
      const state = `${row?.['session']} ${row?.['zone']}`;
      if (state !== `${session} ${SESSION_TIME_ZONE}`) throw new WrongAnswer(`session state of ${session} is ${state}`);
    },
  },
  {
    name: 'replica read',
    weight: 4,
    run: async ({ replica }) => {
      await replica.execute('SELECT id, balance FROM traffic_accounts WHERE id BETWEEN ? AND ?', [10, 20]);
    },
  },
];

/** Other than the servers' own, so that a session restored without it is noticed. */
export const SESSION_TIME_ZONE = '+02:00';

export function sessionStatements(session: number): string[] {
  return [`SET time_zone = '${SESSION_TIME_ZONE}'`, `SET @traffic_session = ${session}`];
}

export function randomBelow(limit: number): number {
  return Math.floor(Math.random() * limit);
}

function twoAccounts(): [number, number] {
  const from = randomBelow(ACCOUNTS);
  return [from, (from + 1 + randomBelow(ACCOUNTS - 1)) % ACCOUNTS];
}
