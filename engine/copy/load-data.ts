import { AppError } from '../../core/errors.ts';
import { quoteName, serverError, textOf, type Bytes, type ServerConnection } from '../server/connection.ts';
import { PacketSplitter } from '../server/packet-splitter.ts';
import { serverMessage } from '../server/server-message.ts';
import type { SocketLease } from '../server/socket-lease.ts';
import type { FieldRule } from './field-rules.ts';
import { LOAD_FORMAT, LoadEncoder } from './load-encoder.ts';
import type { Loader, LoadResult } from './loader.ts';

/** More than this unsent in the socket, and the source has to wait (I8). */
const UNSENT_BYTES_MAX = 1024 * 1024;

/** A server that waits for rows looks as if it worked; so a connection that lost them would be waited for until it gives up. */
const SILENT_PERIODS_MAX = 8;

/**
 * Columns as user variables where something has to be computed of them, else directly. IGNORE, which LOCAL means anyway:
 * a row that is not taken becomes a warning, which `finish` looks for. REPLACE would remove the row in its place silently.
 */
export function loadStatement(schema: string, table: string, columns: string[], rules: FieldRule[]): Bytes {
  const fields = columns.map((name, i) => (rules[i]?.assign ? `@f${i}` : quoteName(name)));
  const sets = columns.flatMap((name, i) => {
    const assign = rules[i]?.assign;
    return assign ? [`${quoteName(name)}=${assign(`@f${i}`)}`] : [];
  });
  const set = sets.length === 0 ? '' : ` SET ${sets.join(',')}`;
  return `LOAD DATA LOCAL INFILE 'switchyard' IGNORE INTO TABLE ${quoteName(schema)}.${quoteName(table)} CHARACTER SET binary ${LOAD_FORMAT} (${fields.join(',')})${set}`;
}

/** One LOAD DATA LOCAL statement: rows of a SELECT go in as they come, the server's own answer comes out. */
export class LoadData implements Loader {
  readonly #connection: ServerConnection;
  readonly #lease: SocketLease;
  readonly #encoder: LoadEncoder;
  readonly #opened = Promise.withResolvers<void>();
  readonly #answer = Promise.withResolvers<LoadCounts>();
  #asked = false;
  #sequence = 2;
  #released = false;

  constructor(connection: ServerConnection, sql: Bytes, rules: FieldRule[]) {
    this.#connection = connection;
    this.#encoder = new LoadEncoder(rules, (buffer, end) => this.#send(buffer, end));
    const splitter = new PacketSplitter((buffer, start, end) => this.#heard(buffer.subarray(start, end)));
    this.#lease = connection.lease(
      {
        onData: (data) => splitter.push(data),
        onClose: (error) => this.#fail(error),
      },
      SILENT_PERIODS_MAX,
    );
    // Whoever awaits them hears of a failure; until then it must not count as unhandled.
    this.#opened.promise.catch(() => {});
    this.#answer.promise.catch(() => {});
    this.#lease.socket.write(this.#lease.query(sql));
  }

  /** Resolves when the server asks for the rows; rejects when it refuses the statement. */
  async opened(): Promise<void> {
    await this.#opened.promise;
  }

  row(buffer: Buffer, start: number, end: number): void {
    this.#encoder.row(buffer, start, end);
  }

  piece(buffer: Buffer, start: number, end: number, isLast: boolean): void {
    this.#encoder.piece(buffer, start, end, isLast);
  }

  get full(): boolean {
    return this.#lease.socket.writableLength > UNSENT_BYTES_MAX;
  }

  async whenReady(): Promise<void> {
    const { socket } = this.#lease;
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once('drain', resolve);
    socket.once('close', resolve);
    if (!socket.writableNeedDrain || socket.destroyed) resolve();
    await promise;
    socket.off('drain', resolve);
    socket.off('close', resolve);
  }

  async finish(): Promise<LoadResult> {
    this.#encoder.flush();
    const end = Buffer.alloc(4);
    end[3] = this.#sequence & 0xff;
    this.#lease.socket.write(end);
    const { records, skipped, warnings } = await this.#answer.promise;
    const { rows, bytes, zeroIndexes } = this.#encoder;
    if (records === rows && skipped === 0 && warnings <= zeroIndexes) return { rows, bytes };
    const texts = warnings === 0 ? [] : await this.#connection.warnings();
    throw new AppError(
      'COPY_VALUE_REFUSED',
      `of ${rows} rows the target read ${records}, skipped ${skipped} and warned: ${texts.join('; ')}`,
    );
  }

  abandon(): void {}

  /** The server refused, or the connection went, while rows were still coming. */
  get failed(): Promise<never> {
    return this.#answer.promise.then(() => new Promise<never>(() => {}));
  }

  #send(buffer: Buffer, end: number): void {
    buffer.writeUIntLE(end - 4, 0, 3);
    buffer[3] = this.#sequence & 0xff;
    this.#sequence += 1;
    this.#lease.socket.write(end === buffer.length ? buffer : buffer.subarray(0, end), () =>
      this.#encoder.recycle(buffer),
    );
  }

  #heard(payload: Buffer): void {
    if (payload[0] === 0xff) this.#fail(serverMessage(payload));
    else if (!this.#asked) {
      this.#asked = true;
      if (payload[0] === 0xfb) this.#opened.resolve();
      else this.#fail(new Error('the server did not ask for rows'));
    } else {
      this.#release();
      this.#answer.resolve(countsIn(textOf(payload.toString('latin1'))));
    }
  }

  #fail(error: Error): void {
    this.#release();
    const failure = serverError(this.#connection.server, error);
    this.#opened.reject(failure);
    this.#answer.reject(failure);
  }

  #release(): void {
    if (!this.#released) this.#lease.release();
    this.#released = true;
  }
}

interface LoadCounts {
  records: number;
  skipped: number;
  warnings: number;
}

/** `Records: 3  Deleted: 0  Skipped: 0  Warnings: 0` at the end of the OK packet; its own count is cut at 65,535. */
function countsIn(info: string): LoadCounts {
  const found = /Records: (\d+) +Deleted: \d+ +Skipped: (\d+) +Warnings: (\d+)/.exec(info);
  if (found === null) throw new Error('LOAD DATA did not say what it did');
  return { records: Number(found[1]), skipped: Number(found[2]), warnings: Number(found[3]) };
}
