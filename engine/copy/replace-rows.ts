import { literal } from '../schema/column-sql.ts';
import type { Column } from '../schema/table.ts';
import { quoteName, type Bytes, type ServerConnection, type Value } from '../server/connection.ts';
import type { Loader, LoadResult } from './loader.ts';

const STATEMENT_BYTES = 1024 * 1024;

/** Where the target does not allow LOAD DATA LOCAL: REPLACE of about 1 MiB at a time, each waited for. */
export class ReplaceRows implements Loader {
  readonly #connection: ServerConnection;
  readonly #prefix: Bytes;
  readonly #columns: Column[];
  readonly #literals: ((value: Value) => Bytes)[];
  #statement = '';
  #running: Promise<void> = Promise.resolve();
  #waiting = 0;
  readonly #failure = Promise.withResolvers<never>();
  #result: LoadResult = { rows: 0, bytes: 0, warnings: 0, warningsExpected: 0, warningTexts: [] };

  constructor(connection: ServerConnection, schema: string, table: string, columns: Column[]) {
    this.#connection = connection;
    this.#columns = columns;
    this.#literals = columns.map(literal);
    this.#prefix = `REPLACE INTO ${quoteName(schema)}.${quoteName(table)} (${columns.map(({ name }) => quoteName(name)).join(',')}) VALUES `;
    this.#failure.promise.catch(() => {});
  }

  async opened(): Promise<void> {}

  row(buffer: Buffer, start: number, end: number): void {
    this.#result.rows += 1;
    this.#result.bytes += end - start;
    const values = fields(buffer, start, end);
    const row = `(${this.#literals.map((format, i) => this.#format(format, i, values[i] ?? null)).join(',')})`;
    this.#statement += (this.#statement === '' ? this.#prefix : ',') + row;
    if (this.#statement.length >= STATEMENT_BYTES) this.#run();
  }

  #format(format: (value: Value) => Bytes, i: number, value: Value): Bytes {
    const text = format(value);
    if (text === '0' && this.#columns[i]?.dataType === 'enum') this.#result.warningsExpected += 1;
    return text;
  }

  get full(): boolean {
    return this.#waiting > 1;
  }

  async whenReady(): Promise<void> {
    await this.#running.catch(() => {});
  }

  get failed(): Promise<never> {
    return this.#failure.promise;
  }

  async finish(): Promise<LoadResult> {
    if (this.#statement !== '') this.#run();
    await this.#running;
    return this.#result;
  }

  #run(): void {
    const sql = this.#statement;
    this.#statement = '';
    this.#waiting += 1;
    this.#running = this.#running.then(async () => {
      const { warnings } = await this.#connection.write(sql);
      this.#result.warnings += warnings;
      if (warnings > 0 && this.#result.warningTexts.length === 0)
        this.#result.warningTexts = await this.#connection.warnings();
      this.#waiting -= 1;
    });
    this.#running.catch((error: unknown) => this.#failure.reject(error));
  }
}

/** The values of a row of the text protocol. */
function fields(buffer: Buffer, start: number, end: number): Value[] {
  const values: Value[] = [];
  for (let from = start; from < end;) {
    const first = buffer[from] ?? 0;
    from += 1;
    if (first === 0xfb) {
      values.push(null);
      continue;
    }
    const width = first < 0xfb ? 0 : first === 0xfc ? 2 : first === 0xfd ? 3 : 8;
    const length =
      width === 0 ? first : width === 8 ? Number(buffer.readBigUInt64LE(from)) : buffer.readUIntLE(from, width);
    from += width;
    values.push(buffer.toString('latin1', from, from + length));
    from += length;
  }
  return values;
}
