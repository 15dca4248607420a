import type { LogLevel } from '../../core/control/protocol.ts';
import type { StrayRecord } from './stray-writes.ts';

const WINDOW_MS = 1000;
const LINES_MAX = 3;

export type AlarmLog = (level: LogLevel, message: string, details?: Record<string, unknown>) => void;

/** One line at level error for a transaction, and at most `LINES_MAX` in a second; the rest is one line of its own. */
export class StrayAlarm {
  readonly #log: AlarmLog;
  #lines = 0;
  #held = { transactions: 0, changes: 0 };
  #timer: NodeJS.Timeout | undefined;

  constructor(log: AlarmLog) {
    this.#log = log;
  }

  /** `records` of one transaction, after they were stored: all `changes` of them, or the first of very many. */
  raise(records: StrayRecord[], changes = records.length): void {
    const [first] = records;
    if (first === undefined) return;
    this.#timer ??= setTimeout(() => this.#endWindow(), WINDOW_MS);
    this.#lines += 1;
    if (this.#lines > LINES_MAX) {
      this.#held.transactions += 1;
      this.#held.changes += changes;
      return;
    }
    const kinds = [...new Set(records.map(({ kind, table }) => (table === '' ? kind : `${kind} on ${table}`)))]
      .slice(0, 5)
      .join(', ');
    this.#log('error', `stray write on the old primary: ${kinds}; kept in _switchyard.stray_writes on the new one`, {
      gtid: first.gtid,
      changes,
    });
  }

  /** Says what is still held back. */
  close(): void {
    if (this.#timer !== undefined) this.#endWindow();
  }

  #endWindow(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#lines = 0;
    const { transactions, changes } = this.#held;
    this.#held = { transactions: 0, changes: 0 };
    if (transactions > 0)
      this.#log('error', `${changes} more stray writes on the old primary, in ${transactions} transactions`);
  }
}
