import { createHash } from 'node:crypto';
import type { StreamPosition } from '../../core/gtid.ts';
import { isComparedByBytes } from '../apply/table-sql.ts';
import { rowKey } from '../apply/window.ts';
import type { RowImage, Table, TableKey } from '../schema/table.ts';
import type { Value } from '../server/connection.ts';
import type { RowChange } from '../stream/transaction.ts';

const ENTRIES_MAX = 100_000;
const LONG = 48;

/**
 * Which keys the stream to the target has written there lately, each with the last transaction of the source that it did so
 * for: to tell whether it has overwritten what a tester wrote (ADR 19). Keys are primary keys and unique values, old and new.
 * Where a key is compared by more than its bytes, the table stands for all of its keys.
 *
 * What it does not know any more counts as written: it begins to know at the place where the stream begins, and forgets the
 * older half when there are too many.
 */
export class WrittenKeys {
  readonly #at: StreamPosition;
  #knownFrom: StreamPosition;
  #recentFrom: StreamPosition;
  #recent = new Map<string, string>();
  #older = new Map<string, string>();
  #isOverflown = false;
  readonly #entriesMax: number;

  constructor(from: StreamPosition, entriesMax = ENTRIES_MAX) {
    this.#at = from.clone();
    this.#knownFrom = from.clone();
    this.#recentFrom = from.clone();
    this.#entriesMax = entriesMax;
  }

  /** Before `advance` with the transaction of these changes. */
  note(changes: readonly RowChange[], gtid: string): void {
    for (const change of changes) {
      for (const key of keysOf(change)) this.#recent.set(key, gtid);
      if (this.#recent.size <= this.#entriesMax) continue;
      this.#isOverflown = true;
      this.#recent.clear();
    }
  }

  /** A transaction is over. */
  advance(gtids: readonly string[]): void {
    for (const gtid of gtids) this.#at.advance(gtid);
    if (this.#isOverflown) {
      this.#knownFrom = this.#at.clone();
      this.#recentFrom = this.#at.clone();
      this.#recent = new Map();
      this.#older = new Map();
      this.#isOverflown = false;
    } else if (this.#recent.size > this.#entriesMax / 2) {
      this.#older = this.#recent;
      this.#knownFrom = this.#recentFrom;
      this.#recent = new Map();
      this.#recentFrom = this.#at.clone();
    }
  }

  /** Whether one of the keys of these changes was, or may have been, written by a transaction that is not in `seen`. */
  isWrittenSince(seen: StreamPosition | null, changes: readonly RowChange[]): boolean {
    if (seen === null || this.#isOverflown || !seen.covers(this.#knownFrom)) return true;
    for (const change of changes) {
      for (const key of keysOf(change)) {
        const last = this.#recent.get(key) ?? this.#older.get(key);
        if (last !== undefined && !seen.coversGtid(last)) return true;
      }
    }
    return false;
  }
}

const cache = new WeakMap<Table, readonly TableKey[] | null>();

/** Null: it has keys that bytes do not tell. */
function exactKeys(table: Table): readonly TableKey[] | null {
  const known = cache.get(table);
  if (known !== undefined) return known;
  const { key, uniqueKeys } = table;
  const keys = key === null ? [] : [key, ...uniqueKeys];
  const isExact =
    keys.length > 0 &&
    uniqueKeys.every(({ whole }) => whole) &&
    keys.every(({ columns }) =>
      columns.every((index) => {
        const column = table.columns[index];
        return column !== undefined && isComparedByBytes(column);
      }),
    );
  const found = isExact ? keys : null;
  cache.set(table, found);
  return found;
}

function* keysOf(change: RowChange): Generator<string> {
  const { table } = change;
  const keys = exactKeys(table);
  if (keys === null) {
    yield table.name;
    return;
  }
  for (const [number, key] of keys.entries()) {
    if (change.kind !== 'insert') yield* keyOf(table, number, valuesOf(key, change.before));
    if (change.kind !== 'delete') yield* keyOf(table, number, valuesOf(key, change.after));
  }
}

/** NULL is no value of a unique key; where a repair knows only the primary key, that is all it writes. */
function* keyOf(table: Table, number: number, values: Value[] | null): Generator<string> {
  if (values === null) return;
  const text = rowKey(values);
  const short = text.length > LONG ? createHash('sha1').update(text, 'latin1').digest('base64') : text;
  yield `${table.name}/${number}/${short}`;
}

function valuesOf(key: TableKey, image: RowImage): Value[] | null {
  const values: Value[] = [];
  for (const index of key.columns) {
    const value = image[index];
    if (value === undefined || value === null) return null;
    values.push(value);
  }
  return values;
}
