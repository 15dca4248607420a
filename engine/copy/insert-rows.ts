import { AppError } from '../../core/errors.ts';
import { insertColumns, literal } from '../schema/column-sql.ts';
import { isHarmlessWarning } from '../schema/harmless-warning.ts';
import type { Column, Table } from '../schema/table.ts';
import { errnoOf, quoteName, type Bytes, type ServerConnection, type Value } from '../server/connection.ts';
import { settleCollision, type Collision } from './collisions.ts';
import { isTransient } from './is-transient.ts';
import { keyColumns } from './key-range.ts';
import type { Loader, LoadResult } from './loader.ts';
import { rowRefused } from './row-refused.ts';
import { textRowValues } from './text-row.ts';
import type { Turns } from './turns.ts';

const STATEMENT_BYTES = 1024 * 1024;
const DUPLICATE_KEY = 1062;
/** Rows that may wait for `settleCollision`; more is no swap of values but a key that the target sees differently. */
const COLLISIONS_MAX = 1000;

export interface InsertOptions {
  table: Table;
  /** Where the rows come from, idle once they have. */
  reader: ServerConnection;
  /** `max_allowed_packet` of the target: a statement must fit. */
  packetBytesMax: number;
  /** Rows that come in pieces wait for each other: each is in memory several times over. */
  turns: Turns;
}

interface Row {
  /** Of the columns that are inserted, then those of the key again. */
  values: Value[];
  tuple: Bytes;
  warningsExpected: number;
}

/**
 * Rows by INSERT, about 1 MiB at a time, each waited for: the way where the target does not allow LOAD DATA LOCAL, and
 * the one that finds the row where LOAD DATA refused a chunk. A statement that the target refuses, or warns at, is
 * taken back and its rows are inserted one by one; so an error names its row.
 */
export class InsertRows implements Loader {
  readonly #connection: ServerConnection;
  readonly #options: InsertOptions;
  readonly #columns: Column[];
  readonly #prefix: Bytes;
  readonly #literals: ((value: Value) => Bytes)[];
  #rows: Row[] = [];
  #bytes = 0;
  #running: Promise<void> = Promise.resolve();
  #waiting = 0;
  readonly #failure = Promise.withResolvers<never>();
  readonly #collisions: Collision[] = [];
  readonly #result: LoadResult = { rows: 0, bytes: 0 };
  #parts: Buffer[] = [];
  #turn: Promise<() => void> | undefined;
  #isTurn = false;

  constructor(connection: ServerConnection, options: InsertOptions) {
    this.#connection = connection;
    this.#options = options;
    const { table } = options;
    this.#columns = insertColumns(table);
    this.#literals = this.#columns.map(literal);
    this.#prefix = `INSERT INTO ${quoteName(table.schema)}.${quoteName(table.name)} (${this.#columns.map(({ name }) => quoteName(name)).join(',')}) VALUES `;
    this.#failure.promise.catch(() => {});
  }

  async opened(): Promise<void> {}

  row(buffer: Buffer, start: number, end: number): void {
    this.#result.rows += 1;
    this.#result.bytes += end - start;
    const values = textRowValues(buffer, start, end);
    const literals = this.#literals.map((format, i) => format(values[i] ?? null));
    // Index 0 of an ENUM, which has to be given as a number where members look like numbers.
    const warningsExpected = literals.filter((text, i) => text === '0' && this.#columns[i]?.dataType === 'enum').length;
    const tuple = `(${literals.join(',')})`;
    if (this.#bytes > 0 && this.#bytes + tuple.length > Math.min(STATEMENT_BYTES, this.#options.packetBytesMax / 2))
      this.#run();
    this.#rows.push({ values, tuple, warningsExpected });
    this.#bytes += tuple.length;
  }

  piece(buffer: Buffer, start: number, end: number, isLast: boolean): void {
    this.#turn ??= this.#options.turns.take().finally(() => {
      this.#isTurn = true;
    });
    this.#parts.push(Buffer.from(buffer.subarray(start, end)));
    if (!isLast) return;
    const whole = Buffer.concat(this.#parts);
    this.#parts = [];
    this.row(whole, 0, whole.length);
    this.#run();
  }

  get full(): boolean {
    return this.#waiting > 1 || (this.#turn !== undefined && (!this.#isTurn || this.#waiting > 0));
  }

  async whenReady(): Promise<void> {
    if (this.#turn !== undefined && !this.#isTurn) await this.#turn;
    else await this.#running.catch(() => {});
  }

  get failed(): Promise<never> {
    return this.#failure.promise;
  }

  async finish(): Promise<LoadResult> {
    if (this.#rows.length > 0) this.#run();
    await this.#running;
    const { table, reader } = this.#options;
    for (const collision of this.#collisions)
      await settleCollision({ reader, writer: this.#connection, table, collision });
    return this.#result;
  }

  abandon(): void {
    this.#parts = [];
    this.#release();
  }

  #release(): void {
    void this.#turn?.then((release) => release());
    this.#turn = undefined;
    this.#isTurn = false;
  }

  #run(): void {
    const rows = this.#rows;
    this.#rows = [];
    this.#bytes = 0;
    this.#waiting += 1;
    this.#running = this.#running.then(async () => {
      try {
        await this.#insert(rows);
      } finally {
        this.#waiting -= 1;
        // A row that came in pieces is alone in its statement.
        if (this.#waiting === 0 && this.#parts.length === 0) this.#release();
      }
    });
    this.#running.catch((error: unknown) => this.#failure.reject(error));
  }

  async #insert(rows: Row[]): Promise<void> {
    const [first] = rows;
    if (first === undefined) return;
    const statement = this.#prefix + rows.map(({ tuple }) => tuple).join(',');
    if (statement.length + 1 > this.#options.packetBytesMax) {
      if (rows.length === 1) this.#refuse(first, packetTooSmall(statement.length, this.#options.packetBytesMax));
      for (const row of rows) await this.#insert([row]);
      return;
    }
    await this.#connection.write('SAVEPOINT switchyard_rows');
    const refusal = await this.#try(statement, rows);
    if (refusal === null) return;
    await this.#connection.write('ROLLBACK TO SAVEPOINT switchyard_rows');
    if (rows.length > 1) for (const row of rows) await this.#insert([row]);
    else if (errnoOf(refusal) === DUPLICATE_KEY && this.#collisions.length < COLLISIONS_MAX)
      this.#collisions.push({ values: first.values, tuple: first.tuple, message: refusal.message });
    else this.#refuse(first, refusal.message);
  }

  /** Null when it is done without a word; else why not. */
  async #try(statement: Bytes, rows: Row[]): Promise<AppError | null> {
    try {
      const { warnings } = await this.#connection.write(statement);
      const expected = rows.reduce((sum, { warningsExpected }) => sum + warningsExpected, 0);
      if (warnings <= expected) return null;
      const texts = await this.#connection.warnings(warnings);
      const serious = texts.filter((text) => !isHarmlessWarning(text));
      // Of those beyond max_error_count there is no text: they count.
      if (warnings - texts.length + serious.length <= expected) return null;
      return new AppError('COPY_VALUE_REFUSED', serious.slice(0, 5).join('; '));
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'SERVER_ERROR' || isTransient(error)) throw error;
      return error;
    }
  }

  #refuse({ values }: Row, reason: string): never {
    const { table } = this.#options;
    const key = values.slice(this.#columns.length);
    throw rowRefused({ table, columns: this.#columns, values, keyColumns: keyColumns(table), key, reason });
  }
}

function packetTooSmall(bytes: number, bytesMax: number): string {
  return `the row needs ${bytes} bytes in one statement, and max_allowed_packet of the target is ${bytesMax}`;
}
