import type { Bytes, Value } from '../server/connection.ts';
import type { RowImage, Table } from '../schema/table.ts';
import { gtidsOf, type RowChange, type StreamTransaction } from '../stream/transaction.ts';
import { AppError, assert } from '../../core/errors.ts';

/** A row's key as one string: parts with their length in front, so that no two keys share a text. */
export type RowKey = string;

/** What is left of all changes of one row in a window. */
export interface FinalState {
  readonly key: Value[];
  /** Its last full image; null: it is gone. */
  image: RowImage | null;
  /** The origin had a row with this key when the window began. */
  readonly existed: boolean;
}

export interface TableWindow {
  table: Table;
  rows: Map<RowKey, FinalState>;
}

/** A transaction as it is to be written. */
export interface WindowTransaction extends StreamTransaction {
  /** What a tester lost with it, to be kept in the same transaction (ADR 19). */
  lost?: { gtid: string; reason: string; statements: Bytes[] };
}

/** What a state and each of its values occupy in memory beside their bytes, about. */
const STATE_BYTES = 200;
const VALUE_BYTES = 24;

/**
 * Whole transactions in commit order, compacted to one final state per key. Keys are compared by bytes, which is finer
 * than any collation: a row renamed from 'a' to 'A' is one key deleted and another written. Applying all deletions
 * of a table before all its writes makes that right for every collation.
 */
export class ApplyWindow {
  readonly tables = new Map<Table, TableWindow>();
  transactions = 0;
  rowChanges = 0;
  /** What the final states occupy in memory, about: less than what was added, where rows changed more than once. */
  bytes = 0;
  readonly gtids: string[] = [];
  readonly lost: NonNullable<WindowTransaction['lost']>[] = [];
  lastCommittedAtMs = 0;
  /** Of the last transaction: see `StreamTransaction`. */
  readFrom: string | undefined;
  stamp: string | undefined;
  /** Of those that are not ours. */
  oldestCommittedAtMs: number | undefined;

  add(transaction: WindowTransaction): void {
    this.transactions += 1;
    this.gtids.push(...gtidsOf(transaction));
    this.lastCommittedAtMs = transaction.committedAtMs;
    this.readFrom = transaction.readFrom;
    this.stamp = transaction.stamp;
    if (transaction.ours) return;
    if (transaction.lost !== undefined) {
      this.lost.push(transaction.lost);
      for (const statement of transaction.lost.statements) this.bytes += statement.length;
    }
    this.oldestCommittedAtMs ??= transaction.committedAtMs;
    for (const change of transaction.changes) this.#addChange(change);
  }

  get isEmpty(): boolean {
    return this.tables.size === 0 && this.lost.length === 0;
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
        this.#put(window, change.after, { image: change.after, existed: false });
        return;
      case 'update': {
        const isMoved = !hasSameKey(window.table, change.before, change.after);
        if (isMoved) this.#put(window, change.before, { image: null, existed: true });
        this.#put(window, change.after, { image: change.after, existed: !isMoved });
        return;
      }
      case 'delete':
        this.#put(window, change.before, { image: null, existed: true });
        return;
      default:
        change satisfies never;
    }
  }

  #put({ table, rows }: TableWindow, keyFrom: RowImage, { image, existed }: Omit<FinalState, 'key'>): void {
    const key = keyValues(table, keyFrom);
    const name = rowKey(key);
    const known = rows.get(name);
    if (known === undefined) {
      rows.set(name, { key, image, existed });
      this.bytes += STATE_BYTES + imageBytes(image);
      return;
    }
    this.bytes += imageBytes(image) - imageBytes(known.image);
    known.image = image;
  }
}

function imageBytes(image: RowImage | null): number {
  if (image === null) return 0;
  let bytes = VALUE_BYTES * image.length;
  for (const value of image) if (value != null) bytes += value.length;
  return bytes;
}

/** False where a key value is missing: `keyValues` tells which. */
function hasSameKey({ key }: Table, before: RowImage, after: RowImage): boolean {
  return key?.columns.every((index) => before[index] === after[index] && before[index] != null) === true;
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
