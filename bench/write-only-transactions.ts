import type { Bytes } from '../engine/server/connection.ts';
import { SYSBENCH_DATABASE, sysbenchTableName, type SysbenchTables } from './sysbench-tables.ts';

/**
 * Transactions like those of sysbench's `oltp_write_only` with its own settings: one update of the indexed column, one
 * of another, one row deleted and inserted again; each of a random table. Rows by sysbench's distribution `special`
 * (three quarters of the accesses go to one in a hundred rows) or `uniform`. The same ones for the same seed.
 */
export class WriteOnlyTransactions {
  readonly #tables: SysbenchTables;
  readonly #random: () => number;
  readonly #uniform: boolean;

  constructor(tables: SysbenchTables, { seed, uniform = false }: { seed: number; uniform?: boolean }) {
    this.#tables = tables;
    this.#random = mulberry32(seed);
    this.#uniform = uniform;
  }

  /** The statements of the next one, BEGIN and COMMIT included. */
  next(): Bytes[] {
    const deleted = { table: this.#table(), id: this.#id() };
    return [
      'BEGIN',
      `UPDATE ${this.#table()} SET k=k+1 WHERE id=${this.#id()}`,
      `UPDATE ${this.#table()} SET c='${this.#digits(10)}' WHERE id=${this.#id()}`,
      `DELETE FROM ${deleted.table} WHERE id=${deleted.id}`,
      `INSERT INTO ${deleted.table} (id, k, c, pad) VALUES (${deleted.id}, ${this.#id()}, '${this.#digits(10)}', '${this.#digits(5)}')`,
      'COMMIT',
    ];
  }

  #table(): string {
    return `${SYSBENCH_DATABASE}.${sysbenchTableName(1 + Math.floor(this.#random() * this.#tables.tables))}`;
  }

  #id(): number {
    const { rowsPerTable } = this.#tables;
    if (this.#uniform || this.#random() >= 0.75) return 1 + Math.floor(this.#random() * rowsPerTable);
    const hot = Math.max(1, Math.floor(rowsPerTable / 100));
    return Math.floor(rowsPerTable / 2 - hot / 2) + 1 + Math.floor(this.#random() * hot);
  }

  #digits(groups: number): string {
    return Array.from({ length: groups }, () => String(Math.floor(this.#random() * 1e11)).padStart(11, '0')).join('-');
  }
}

/** A small generator of random numbers in [0, 1) (Tommy Ettinger's mulberry32, public domain). */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
