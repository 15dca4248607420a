import { normalizer, selectExpression } from '../schema/column-sql.ts';
import { rowBytes, type Column, type Table } from '../schema/table.ts';
import { quoteName, type Bytes, type ServerConnection } from '../server/connection.ts';
import type { Chunk, Gap } from './chunk.ts';
import { keyColumns, rangePredicate, tableByKey, type Bound } from './key-range.ts';

const CHUNK_ROWS_MAX = 500_000;
/** In a chunk of rows whose size nobody knows yet. */
const ROWS_UNKNOWN = 1000;
/** What a chunk of them takes at most before the next one has no more rows. */
const UNKNOWN_MS = 50;
/** Keys with more room between them than this are cut by counting rows, not by arithmetic. */
const SPREAD_MAX = 4n;
const INTEGERS = new Set(['tinyint', 'smallint', 'mediumint', 'int', 'bigint']);

/**
 * Cuts one table into chunks of about `chunkBytes`, in the order of its key. The server says where: dense integer keys
 * by arithmetic between the smallest and the largest, all others by the key of the n-th row from here. Also a table that is
 * small by its statistics is asked for that row: they may be of when it was empty (STATS_AUTO_RECALC=0, or filled a moment ago).
 * Rows per chunk follow what landed chunks weighed, or the time that they took. One caller at a time: `next` waits for the one before it.
 */
export class TableChunks {
  readonly table: Table;
  readonly #key: Column[];
  readonly #chunkBytes: number;
  readonly #gaps: Gap[];
  readonly #isSizeKnown: boolean;
  #rowsPerChunk: number;
  #keysPerRow = 1;
  /** Undecided until the first `next`. */
  #arithmetic: { largest: bigint } | null | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(table: Table, gaps: Gap[], chunkBytes: number) {
    this.table = table;
    this.#key = keyColumns(table);
    this.#gaps = [...gaps];
    this.#chunkBytes = chunkBytes;
    const average = rowBytes(table);
    this.#isSizeKnown = average !== null;
    this.#rowsPerChunk = average === null ? ROWS_UNKNOWN : rowsOf(chunkBytes, average);
  }

  /** False once every chunk has been handed out. */
  get open(): boolean {
    return this.#gaps.length > 0;
  }

  /** What a chunk turned out to hold. */
  landed(rows: number, bytes: number): void {
    if (rows > 0) this.#rowsPerChunk = Math.ceil((this.#rowsPerChunk + rowsOf(this.#chunkBytes, bytes / rows)) / 2);
  }

  /** For whoever does not see bytes: where their number is not known, chunks grow as long as they are done soon. */
  took(rows: number, ms: number): void {
    if (this.#isSizeKnown || ms > UNKNOWN_MS) return;
    this.#rowsPerChunk = Math.min(CHUNK_ROWS_MAX, Math.max(this.#rowsPerChunk, 2 * rows));
  }

  /** The next chunk, or null when all are handed out. `reader` asks the source for bounds. */
  async next(reader: ServerConnection): Promise<Chunk | null> {
    const turn = this.#turn.then(() => this.#cut(reader));
    this.#turn = turn.catch(() => {});
    return await turn;
  }

  async #cut(reader: ServerConnection): Promise<Chunk | null> {
    const gap = this.#gaps[0];
    if (gap === undefined) return null;
    const upper = gap.seqFrom >= gap.seqTo ? gap.upper : await this.#bound(gap, reader);
    const ended = upper === null || sameBound(upper, gap.upper);
    const chunk: Chunk = { seq: gap.seqFrom, lower: gap.lower, upper: ended ? gap.upper : upper };
    if (ended) this.#gaps.shift();
    else this.#gaps[0] = { ...gap, lower: upper, seqFrom: gap.seqFrom + 1 };
    return chunk;
  }

  async #bound(gap: Gap, reader: ServerConnection): Promise<Bound | null> {
    if (this.#arithmetic === undefined) this.#arithmetic = await this.#decide(reader);
    const integer = gap.upper === null ? await this.#nextInteger(gap, reader) : null;
    if (integer !== null) return integer;
    const [row] = await reader.rows(
      `SELECT ${this.#key.map(selectExpression).join(',')} FROM ${tableByKey(this.table)}${rangePredicate(this.#key, gap)} ORDER BY ${this.#order()} LIMIT 1 OFFSET ${this.#rowsPerChunk - 1}`,
    );
    return row === undefined ? null : this.#key.map((column, i) => canonical(column, row[i] ?? ''));
  }

  #order(): Bytes {
    return this.#key.map(({ name }) => quoteName(name)).join(',');
  }

  async #decide(reader: ServerConnection): Promise<{ largest: bigint } | null> {
    const [column] = this.#key;
    if (column === undefined || this.#key.length > 1 || !INTEGERS.has(column.dataType)) return null;
    const extremes = await this.#extremes(reader);
    if (extremes === null) return null;
    const keys = extremes.largest - extremes.smallest + 1n;
    const rows = BigInt(Math.max(1, Math.trunc(this.table.rowsEstimate)));
    if (keys > rows * SPREAD_MAX) return null;
    this.#keysPerRow = Math.max(1, Number(keys) / Number(rows));
    return { largest: extremes.largest };
  }

  /**
   * Null: the rest is cut by counting rows. Behind what was the largest key there is what was added since, and it may be far away (one
   * row with the largest number that there is): by arithmetic the way there has no end.
   */
  async #nextInteger(gap: Gap, reader: ServerConnection): Promise<Bound | null> {
    if (this.#arithmetic == null) return null;
    const step = BigInt(Math.ceil(this.#rowsPerChunk * this.#keysPerRow));
    const from = gap.lower?.[0] ?? (await this.#extremes(reader))?.smallest;
    const upper = from === undefined ? null : BigInt(from) + step - (gap.lower === null ? 1n : 0n);
    if (upper !== null && upper < this.#arithmetic.largest) return [String(upper)];
    this.#arithmetic = null;
    return null;
  }

  async #extremes(reader: ServerConnection): Promise<{ smallest: bigint; largest: bigint } | null> {
    const [column] = this.#key;
    if (column === undefined) return null;
    const name = quoteName(column.name);
    const [ends] = await reader.rows(`SELECT MIN(${name}),MAX(${name}) FROM ${tableByKey(this.table)}`);
    const [smallest, largest] = ends ?? [];
    return smallest == null || largest == null ? null : { smallest: BigInt(smallest), largest: BigInt(largest) };
  }
}

function rowsOf(bytes: number, average: number): number {
  return Math.min(CHUNK_ROWS_MAX, Math.max(1, Math.floor(bytes / Math.max(1, average))));
}

function sameBound(a: Bound, b: Bound | null): boolean {
  return b !== null && a.every((value, i) => value === b[i]);
}

function canonical(column: Column, value: Bytes): Bytes {
  return normalizer(column)?.(value) ?? value;
}
