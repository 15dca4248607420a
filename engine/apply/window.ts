import type { Value } from '../server/connection.ts';
import type { RowImage, Table } from '../schema/table.ts';
import type { RowChange, StreamTransaction } from '../stream/transaction.ts';
import { AppError, assert } from '../../core/errors.ts';

/** A row's key as one string: parts with their length in front, so that no two keys share a text. */
export type RowKey = string;

/** What is left of all changes of one row in a window: its last full image, or that it is gone. */
export type FinalState = { key: Value[]; image: RowImage | null };

export interface TableWindow {
  table: Table;
  rows: Map<RowKey, FinalState>;
}

/**
 * Whole transactions in commit order, compacted to one final state per key. Keys are compared by bytes, which is finer
 * than any collation: a row renamed from 'a' to 'A' is one key deleted and another written. Applying all deletions
 * before all writes makes that right for every collation.
 */
export class ApplyWindow {
  readonly tables = new Map<Table, TableWindow>();
  transactions = 0;
  rowChanges = 0;
  bytes = 0;
  readonly gtids: string[] = [];
  lastCommittedAtMs = 0;

  add(transaction: StreamTransaction): void {
    this.transactions += 1;
    this.bytes += transaction.bytes;
    this.gtids.push(transaction.gtid);
    this.lastCommittedAtMs = transaction.committedAtMs;
    if (transaction.ours) return;
    for (const change of transaction.changes) this.#addChange(change);
  }

  get isEmpty(): boolean {
    return this.tables.size === 0;
  }

  #addChange(change: RowChange): void {
    this.rowChanges += 1;
    let window = this.tables.get(change.table);
    if (window === undefined) {
      window = { table: change.table, rows: new Map() };
      this.tables.set(change.table, window);
    }
    switch (change.kind) {
      case 'insert':
        put(window, change.after, change.after);
        return;
      case 'update':
        put(window, change.before, null);
        put(window, change.after, change.after);
        return;
      case 'delete':
        put(window, change.before, null);
        return;
      default:
        change satisfies never;
    }
  }
}

function put(window: TableWindow, keyFrom: RowImage, image: RowImage | null): void {
  const key = keyValues(window.table, keyFrom);
  window.rows.set(rowKey(key), { key, image });
}

/** The values of the columns that address a row. */
export function keyValues(table: Table, image: RowImage): Value[] {
  assert(table.key !== null, 'a table without a key is never applied');
  return table.key.columns.map((index) => {
    const value = image[index];
    if (value === undefined || value === null) {
      throw new AppError(
        'STREAM_ROW_IMAGE_NOT_FULL',
        `a row of ${table.schema}.${table.name} arrived without its key column ${table.columns[index]?.name}`,
      );
    }
    return value;
  });
}

export function rowKey(values: Value[]): RowKey {
  return values.length === 1
    ? (values[0] ?? '')
    : values.map((value) => (value === null ? '-' : `${value.length}:${value}`)).join('');
}
