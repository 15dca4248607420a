import { randomUUID } from 'node:crypto';
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '../../core/errors.ts';
import type { BinlogEvent } from './event.ts';

const MEMORY_BYTES_MAX = 256 * 1024;
/** Length of the body, type. */
const HEAD_BYTES = 5;

/**
 * The row events of a transaction that is not decided yet (between XA PREPARE and XA COMMIT), in the order in which they
 * were added. Few are in memory, the rest is in a file of the temporary directory that has no name any more, so that it is
 * gone with the process whatever ends it. Plain blocking reads and writes: XA transactions are small but for exceptions.
 */
export class HeldEvents implements Disposable {
  #pieces: Buffer[] = [];
  #pieceBytes = 0;
  #file: number | undefined;
  #fileBytes = 0;

  get empty(): boolean {
    return this.#pieces.length === 0 && this.#fileBytes === 0;
  }

  get bytesInMemory(): number {
    return this.#pieceBytes;
  }

  /** Throws STREAM_SPILL_FAILED. */
  add({ type, body }: BinlogEvent): void {
    const head = Buffer.allocUnsafe(HEAD_BYTES);
    head.writeUInt32LE(body.length, 0);
    head.writeUInt8(type, 4);
    this.#pieces.push(head, Buffer.from(body));
    this.#pieceBytes += HEAD_BYTES + body.length;
    if (this.#pieceBytes > MEMORY_BYTES_MAX) this.#spill();
  }

  /** Each event's body is valid until the next one is asked for. */
  *events(): Generator<BinlogEvent> {
    for (let at = 0; at < this.#fileBytes;) {
      const head = this.#readFile(at, HEAD_BYTES);
      const length = head.readUInt32LE(0);
      yield heldEvent(head.readUInt8(4), this.#readFile(at + HEAD_BYTES, length));
      at += HEAD_BYTES + length;
    }
    for (let index = 0; index < this.#pieces.length; index += 2) {
      const [head, body] = this.#pieces.slice(index, index + 2);
      if (head !== undefined && body !== undefined) yield heldEvent(head.readUInt8(4), body);
    }
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
    this.#fileBytes = 0;
    this.#pieces = [];
    this.#pieceBytes = 0;
  }

  #spill(): void {
    try {
      this.#file ??= openUnnamed();
      for (const piece of this.#pieces) this.#append(this.#file, piece);
    } catch (cause) {
      throw spillFailed(cause);
    }
    this.#pieces = [];
    this.#pieceBytes = 0;
  }

  #append(file: number, piece: Buffer): void {
    for (let at = 0; at < piece.length;) {
      const written = writeSync(file, piece, at, piece.length - at, this.#fileBytes);
      at += written;
      this.#fileBytes += written;
    }
  }

  #readFile(from: number, length: number): Buffer {
    const buffer = Buffer.allocUnsafe(length);
    for (let at = 0; at < length;) {
      const read = this.#file === undefined ? 0 : readSync(this.#file, buffer, at, length - at, from + at);
      if (read === 0) throw spillFailed(new Error('the file ended too early'));
      at += read;
    }
    return buffer;
  }
}

function openUnnamed(): number {
  const path = join(tmpdir(), `switchyard-xa-${randomUUID()}`);
  const file = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  return file;
}

function spillFailed(cause: unknown): AppError {
  return new AppError(
    'STREAM_SPILL_FAILED',
    `a prepared XA transaction could not be kept in ${tmpdir()}: ${(cause as Error).message}`,
    { cause },
  );
}

/** Only what row events need: their other fields are of the log. */
function heldEvent(type: number, body: Buffer): BinlogEvent {
  return { type, timestamp: 0, serverId: 0, ignorable: false, size: body.length, body };
}
