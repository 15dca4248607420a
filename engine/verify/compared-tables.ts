import type { VerifyTableView } from '../api.ts';
import { keyColumns } from '../copy/key-range.ts';
import { isSameName } from '../stream/stream-scope.ts';
import type { RowDifference } from './compare-digests.ts';
import type { DirtyKeys } from './dirty-keys.ts';
import type { DdlOutcome } from './follower.ts';
import type { TablePair } from './table-pair.ts';
import { TableProgress } from './verify-progress.ts';

interface KnownTable {
  /** What is known of its rows; as an earlier run of the engine has left it, until the table is paired. */
  progress: TableProgress | undefined;
  stored: VerifyTableView;
  /** What it is compared by. Undefined: not yet, or not since the DDL that it waits for. */
  pair: TablePair | undefined;
  pending: Pending | undefined;
  /** DDL has touched it since the verification began. */
  anew: boolean;
}

/** What was known of a table before DDL says nothing of its rows behind it. */
interface Pending {
  /** Null: it was before this run of the engine. */
  sql: string | null;
  /** All of it has been looked at once; when the touches up to here are answered, the table is known again. */
  mark: number | undefined;
}

/**
 * The tables of a verification: what each is compared by, what is known of its rows, and which ones DDL has touched since
 * (ADR 20). Such a table is *pending*: its old pair compares nothing any more (`isPaired`), since the sides have had different
 * definitions in between; it is paired anew when the statement is behind both (`pairAnew`), compared as a whole, and known
 * again when that has ended and the rows that were unsure are answered. A touch of every row keeps the position before the
 * statement until then, so that an engine that is killed meets it again in the log.
 */
export class ComparedTables {
  readonly #dirty: DirtyKeys;
  readonly #tables = new Map<string, KnownTable>();
  readonly #onChanged: () => void;
  /** Tables that statements had to do with that were heard of. */
  readonly #outcomes = new Set<string>();
  #generation = 0;
  /** Of the statement that was heard of last. */
  #sql: string | null = null;
  #redefined = Promise.withResolvers<void>();
  #paired = Promise.withResolvers<void>();

  /** `onChanged`: a table has become pending, or known again. */
  constructor(dirty: DirtyKeys, onChanged: () => void) {
    this.#dirty = dirty;
    this.#onChanged = onChanged;
  }

  /** None before a pass has them all. */
  get isEmpty(): boolean {
    return this.#tables.size === 0;
  }

  get views(): VerifyTableView[] {
    return [...this.#tables.values()].map(viewOf);
  }

  /** Grows with every statement that is heard of. */
  get generation(): number {
    return this.#generation;
  }

  /** Names of pending tables. */
  get pending(): string[] {
    return [...this.#tables].filter(([, { pending }]) => pending !== undefined).map(([name]) => name);
  }

  /** Why there are some, for people. */
  get pendingReason(): string | null {
    const waiting = [...this.#tables.values()].flatMap(({ pending }) => (pending === undefined ? [] : [pending]));
    if (waiting.length === 0) return null;
    const sql = waiting.find((pending) => pending.sql !== null)?.sql;
    const statement = sql == null ? '' : `: ${sql.slice(0, 200)}`;
    return `changed by DDL, and compared anew: ${this.pending.join(', ')}${statement}`;
  }

  /** Tables that are not paired: pending ones, and all of them at first. */
  get unpaired(): string[] {
    return [...this.#tables].filter(([, { pair }]) => pair === undefined).map(([name]) => name);
  }

  /** Whether tables are to be paired for the first time. */
  get awaitsPairs(): boolean {
    return this.#tables.values().some(({ pair, pending }) => pair === undefined && pending === undefined);
  }

  /** Resolves when there may be something to pair: DDL is heard of, or tables have come. */
  async nextDdl(): Promise<void> {
    await this.#redefined.promise;
  }

  /** Resolves when tables have been paired. */
  async nextPairs(): Promise<void> {
    await this.#paired.promise;
  }

  /** Rows that differ, but for those that a look has found the same since. */
  get differencesTotal(): number {
    return this.#tables.values().reduce((sum, table) => sum + viewOf(table).differencesTotal, 0);
  }

  /** Of tables that can be compared. */
  *known(): Generator<{ pair: TablePair; progress: TableProgress }> {
    for (const { pair, progress } of this.#tables.values())
      if (pair !== undefined && progress !== undefined) yield { pair, progress };
  }

  /** What a pass compares: pending tables are compared anew by themselves. */
  toCompare(): TablePair[] {
    return [...this.#tables.values()].flatMap(({ pair, pending }) =>
      pair === undefined || pending !== undefined ? [] : [pair],
    );
  }

  /** A pass is about to begin; they are to be paired. What was heard of DDL before says more. */
  expect(names: readonly string[]): void {
    for (const name of names) {
      if (this.#tables.has(name) || this.#outcomes.has(name)) continue;
      const stored = unknownTable(name);
      this.#tables.set(name, { progress: undefined, stored, pair: undefined, pending: undefined, anew: false });
    }
    this.#heard();
  }

  /** What the pass finds of these tables is what is known of them, as long as no DDL touches them. */
  begin(tables: Iterable<{ table: TablePair; progress: TableProgress }>): void {
    for (const { table: pair, progress } of tables) {
      const table = this.#tables.get(pair.name);
      if (table?.pair === pair && table.pending === undefined) table.progress = progress;
    }
  }

  /** What an earlier run of the engine knew; what it had begun to compare anew is pending. */
  restore(views: Iterable<VerifyTableView>): void {
    for (const stored of views) {
      const isKnown = stored.state === 'equal' || stored.state === 'different';
      const { anew } = stored;
      this.#tables.set(stored.name, { progress: undefined, stored, pair: undefined, pending: undefined, anew });
      if (!isKnown) this.redefine(stored.name, null);
    }
    this.#heard();
  }

  /** The imported tables, all of them, as they were a moment ago: what was heard of DDL since says more. */
  keepOnly(names: readonly string[]): void {
    const isLater = (name: string) => this.#outcomes.has(name);
    for (const name of this.#tables.keys()) if (!names.includes(name) && !isLater(name)) this.leave(name);
    for (const name of names) if (!this.#tables.has(name) && !isLater(name)) this.redefine(name, null);
  }

  /** DDL that names these tables, known or not, is about to be run, or was. */
  redefineNamed(names: readonly string[], sql: string): void {
    this.#sql = sql;
    for (const known of this.#tables.keys())
      if (names.some((name) => isSameName(name, known))) this.redefine(known, sql);
  }

  /** Also one that is not known yet. */
  redefine(name: string, sql: string | null): void {
    const known = this.#tables.get(name);
    this.#tables.set(name, {
      progress: known?.progress,
      stored: known?.stored ?? unknownTable(name),
      pair: undefined,
      pending: { sql, mark: undefined },
      anew: true,
    });
    this.#dirty.redefine(name);
    this.#heard();
  }

  /** What the statement has made of them: a table that was not among them before may have come. */
  ended({ there, gone }: DdlOutcome): void {
    for (const name of [...there, ...gone]) this.#outcomes.add(name);
    for (const name of there) this.redefine(name, this.#sql);
    for (const name of gone) this.leave(name);
  }

  leave(name: string): void {
    this.#tables.delete(name);
    this.#dirty.forget(name);
    this.#heard();
    this.#pairsChanged();
  }

  /** Undefined where it is no table of the verification; `later` where it is one that is not paired. */
  pairOf(name: string): TablePair | 'later' | undefined {
    const table = this.#tables.get(name);
    return table === undefined ? undefined : (table.pair ?? 'later');
  }

  /** Whether what is read with this pair says anything: no DDL was heard of since. */
  isPaired(pair: TablePair): boolean {
    return this.#tables.get(pair.name)?.pair === pair;
  }

  /** Of what was known of a pending table nothing counts. */
  paired(pair: TablePair): void {
    const table = this.#tables.get(pair.name);
    if (table === undefined) return;
    const key = keyColumns(pair.source.table);
    table.pair = pair;
    table.progress =
      table.pending === undefined ? TableProgress.restored(table.stored, key) : new TableProgress(pair.name, key, 1);
    if (table.pending !== undefined) this.#onChanged();
    this.#pairsChanged();
  }

  /** A look at all rows of a table has come so far. */
  comparing(name: string, progress: VerifyTableView): void {
    const table = this.#tables.get(name);
    if (table?.pending !== undefined) table.progress?.follow(progress);
  }

  /** All rows have been looked at; what was unsure is among the dirty keys. */
  compared(name: string): void {
    const pending = this.#tables.get(name)?.pending;
    if (pending !== undefined) pending.mark = this.#dirty.mark;
  }

  add(name: string, differences: readonly RowDifference[]): void {
    this.#tables.get(name)?.progress?.add(differences);
  }

  /** Tables whose last open rows have been answered are known again. */
  settle(): void {
    for (const [name, table] of this.#tables) {
      const mark = table.pending?.mark;
      if (mark === undefined || !this.#dirty.isTableAnswered(name, mark)) continue;
      table.pending = undefined;
      table.progress?.ended();
      this.#onChanged();
    }
  }

  #pairsChanged(): void {
    this.#paired.resolve();
    this.#paired = Promise.withResolvers<void>();
  }

  #heard(): void {
    this.#generation += 1;
    this.#redefined.resolve();
    this.#redefined = Promise.withResolvers<void>();
    this.#onChanged();
  }
}

function viewOf({ progress, stored, pair, pending, anew }: KnownTable): VerifyTableView {
  const view = { ...(progress?.view ?? stored), anew };
  return pending !== undefined && pair === undefined ? { ...view, state: 'waiting' } : view;
}

function unknownTable(name: string): VerifyTableView {
  return {
    name,
    state: 'waiting',
    rows: 0,
    chunksDone: 0,
    chunksTotal: 1,
    differences: [],
    differencesTotal: 0,
    anew: false,
  };
}
