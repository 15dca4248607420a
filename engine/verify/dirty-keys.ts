import type { RowKey } from '../apply/window.ts';
import type { Value } from '../server/connection.ts';
import type { Follower, TouchedRows } from './follower.ts';

/** I8. A key of ten bytes takes about 250: some 130,000 keys. */
const BYTES_MAX = 32 * 1024 * 1024;
/** An entry and its place in the map, about. */
const ENTRY_BYTES = 200;

/** Touches are numbered; `first` and `last` are those that have not been answered by a look at both sides. */
interface Touched {
  first: number;
  last: number;
  sinceMs: number;
}

interface DirtyKey extends Touched {
  values: Value[];
}

interface DirtyTable {
  keys: Map<RowKey, DirtyKey>;
  bytes: number;
  /** Any of its rows may have changed: too many to name them. */
  every: Touched | undefined;
}

/**
 * Rows that replication has written and that nobody has compared since. Counted: every touch has a number, and a look at
 * a row answers only the touches from before it began; one that came meanwhile leaves the row here.
 *
 * Bounded: when there are too many keys, those of the table that has the most are given up for `every` row of that table.
 * Nothing is ever forgotten.
 */
export class DirtyKeys implements Disposable {
  readonly #tables = new Map<string, DirtyTable>();
  readonly #subscription: Disposable;
  readonly #bytesMax: number;
  #touches = 0;
  #bytes = 0;
  #size = 0;
  #touched = Promise.withResolvers<void>();

  constructor(follower: Pick<Follower, 'onTouched'>, bytesMax = BYTES_MAX) {
    this.#bytesMax = bytesMax;
    this.#subscription = follower.onTouched((table, keys) => this.touch(table, keys));
  }

  touch(name: string, keys: TouchedRows): void {
    // All rows of a table again for each parent that is deleted would never end; the target's own foreign keys are exact.
    if (keys === 'some') return;
    const table = this.#table(name);
    const sinceMs = performance.now();
    if (keys === 'every') {
      this.#touchEvery(table, sinceMs);
    } else {
      for (const { key, values } of keys) {
        this.#touches += 1;
        const known = table.keys.get(key);
        if (known === undefined) {
          const bytes = ENTRY_BYTES + 2 * key.length;
          table.keys.set(key, { values, first: this.#touches, last: this.#touches, sinceMs });
          table.bytes += bytes;
          this.#bytes += bytes;
          this.#size += 1;
        } else {
          known.last = this.#touches;
        }
      }
    }
    while (this.#bytes > this.#bytesMax) this.#giveUpKeysOfLargest(sinceMs);
    this.#touched.resolve();
    this.#touched = Promise.withResolvers<void>();
  }

  /** Of all touches so far: what `upTo` means elsewhere. */
  get mark(): number {
    return this.#touches;
  }

  get size(): number {
    return this.#size;
  }

  get isEmpty(): boolean {
    return this.#size === 0 && this.everyTables().length === 0;
  }

  /** Resolves at the next touch. */
  async nextTouch(): Promise<void> {
    await this.#touched.promise;
  }

  /** Tables of which any row may have changed. */
  everyTables(): string[] {
    return [...this.#tables].filter(([, { every }]) => every !== undefined).map(([name]) => name);
  }

  /** Keys with a touch up to `upTo` that is not answered, by table. */
  keys(upTo: number): Map<string, Map<RowKey, Value[]>> {
    const found = new Map<string, Map<RowKey, Value[]>>();
    for (const [name, { keys }] of this.#tables) {
      const open = new Map<RowKey, Value[]>();
      for (const [key, { first, values }] of keys) if (first <= upTo) open.set(key, values);
      if (open.size > 0) found.set(name, open);
    }
    return found;
  }

  /** These keys have been looked at on both sides, beginning when `mark` was `upTo`. */
  answer(name: string, keys: Iterable<RowKey>, upTo: number): void {
    const table = this.#table(name);
    for (const key of keys) {
      const known = table.keys.get(key);
      if (known === undefined) continue;
      if (known.last > upTo) {
        known.first = upTo + 1;
        known.sinceMs = performance.now();
        continue;
      }
      this.#drop(table, key);
    }
  }

  /** As `answer`, for every row of the table at once; its single keys stay. */
  answerEvery(name: string, upTo: number): void {
    const table = this.#table(name);
    if (table.every === undefined) return;
    if (table.every.last > upTo) table.every.first = upTo + 1;
    else table.every = undefined;
  }

  /** Every row, and no key by itself any more: its columns may not be those of the table's key from now on. */
  redefine(name: string): void {
    this.touch(name, 'every');
    this.#giveUpKeys(this.#table(name), performance.now());
  }

  /** The table is gone, and its rows with it. */
  forget(name: string): void {
    const table = this.#tables.get(name);
    if (table === undefined) return;
    this.#size -= table.keys.size;
    this.#bytes -= table.bytes;
    this.#tables.delete(name);
  }

  /** Whether every touch up to `upTo` is answered. */
  isAnswered(upTo: number): boolean {
    return this.#tables.keys().every((name) => this.isTableAnswered(name, upTo));
  }

  isTableAnswered(name: string, upTo: number): boolean {
    const table = this.#tables.get(name);
    if (table === undefined) return true;
    if (table.every !== undefined && table.every.first <= upTo) return false;
    return table.keys.values().every(({ first }) => first > upTo);
  }

  /** How long the oldest touch waits for its answer; null: none does. */
  get oldestMs(): number | null {
    let since = Number.POSITIVE_INFINITY;
    for (const { keys, every } of this.#tables.values()) {
      since = Math.min(since, every?.sinceMs ?? since);
      for (const { sinceMs } of keys.values()) since = Math.min(since, sinceMs);
    }
    return since === Number.POSITIVE_INFINITY ? null : Math.max(0, performance.now() - since);
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
    this.#tables.clear();
    this.#touched.resolve();
  }

  #table(name: string): DirtyTable {
    const known = this.#tables.get(name);
    if (known !== undefined) return known;
    const table: DirtyTable = { keys: new Map(), bytes: 0, every: undefined };
    this.#tables.set(name, table);
    return table;
  }

  #touchEvery(table: DirtyTable, sinceMs: number): void {
    this.#touches += 1;
    table.every ??= { first: this.#touches, last: this.#touches, sinceMs };
    table.every.last = this.#touches;
  }

  #drop(table: DirtyTable, key: RowKey): void {
    const bytes = ENTRY_BYTES + 2 * key.length;
    table.keys.delete(key);
    table.bytes -= bytes;
    this.#bytes -= bytes;
    this.#size -= 1;
  }

  #giveUpKeysOfLargest(sinceMs: number): void {
    const [largest] = [...this.#tables.values()].sort((a, b) => b.bytes - a.bytes);
    if (largest !== undefined && largest.keys.size > 0) this.#giveUpKeys(largest, sinceMs);
  }

  #giveUpKeys(table: DirtyTable, sinceMs: number): void {
    let first = table.every?.first ?? Number.POSITIVE_INFINITY;
    let oldestMs = table.every?.sinceMs ?? sinceMs;
    for (const key of table.keys.values()) {
      first = Math.min(first, key.first);
      oldestMs = Math.min(oldestMs, key.sinceMs);
    }
    this.#size -= table.keys.size;
    this.#bytes -= table.bytes;
    table.keys.clear();
    table.bytes = 0;
    table.every = { first, last: this.#touches, sinceMs: oldestMs };
  }
}
