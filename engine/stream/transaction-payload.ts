import { once } from 'node:events';
import { createZstdDecompress, zstdDecompressSync } from 'node:zlib';
import { Cursor } from './cursor.ts';
import { eventOf, HEADER_BYTES, malformed, type BinlogEvent } from './event.ts';

const FIELD_END = 0;
const FIELD_COMPRESSION = 2;
const FIELD_SIZE = 3;
const ZSTD = 0;
const NONE = 255;

export interface Payload {
  compressed: boolean;
  /** Of the events, when they are no longer compressed. */
  size: number;
  stored: Buffer;
}

/**
 * A TRANSACTION_PAYLOAD (binlog_transaction_compression, MySQL 8.0.20+): the events of one transaction; those have no
 * checksums of their own.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Transaction__payload__event.html
 */
export function readPayload({ body }: BinlogEvent): Payload {
  const cursor = new Cursor(body);
  let method = NONE;
  let size = 0;
  for (let field = cursor.lenenc(); field !== FIELD_END; field = cursor.lenenc()) {
    const value = new Cursor(cursor.slice(cursor.lenenc()));
    if (field === FIELD_COMPRESSION) method = value.lenenc();
    else if (field === FIELD_SIZE) size = value.lenenc();
  }
  if (method !== ZSTD && method !== NONE) throw malformed(`a transaction compressed with method ${method}`);
  const stored = cursor.slice(cursor.left);
  return { compressed: method === ZSTD, size: method === ZSTD ? size : stored.length, stored };
}

/** All at once, for small ones: they are by far the most, and a decompressing stream for each is not free. */
export function* payloadEvents({ compressed, size, stored }: Payload): Generator<BinlogEvent> {
  const cutter = new EventCutter();
  yield* cutter.push(compressed ? zstdDecompressSync(stored) : stored);
  cutter.end(size);
}

/** Piece by piece: a compressed transaction may be a thousand times larger than its event. */
export async function* payloadEventsInPieces({
  compressed,
  size,
  stored,
}: Payload): AsyncGenerator<BinlogEvent, void, void> {
  const cutter = new EventCutter();
  if (!compressed) {
    yield* cutter.push(stored);
  } else {
    const decompress = createZstdDecompress({ chunkSize: 256 * 1024 });
    decompress.end(stored);
    try {
      for await (const piece of decompress) yield* cutter.push(piece as Buffer);
    } finally {
      decompress.destroy();
      if (!decompress.closed) await once(decompress, 'close');
    }
  }
  cutter.end(size);
}

/** Cuts bytes that come in pieces of any length into events. */
class EventCutter {
  #rest: Buffer[] = [];
  #restBytes = 0;
  #neededBytes = HEADER_BYTES;
  #seenBytes = 0;

  *push(piece: Buffer): Generator<BinlogEvent> {
    this.#seenBytes += piece.length;
    this.#rest.push(piece);
    this.#restBytes += piece.length;
    // Joined only when there is enough: a value of many MiB comes in hundreds of pieces.
    if (this.#restBytes < this.#neededBytes) return;
    const bytes = this.#rest.length === 1 ? piece : Buffer.concat(this.#rest);
    let at = 0;
    for (this.#neededBytes = HEADER_BYTES; bytes.length - at >= HEADER_BYTES; this.#neededBytes = HEADER_BYTES) {
      const length = bytes.readUInt32LE(at + 9);
      if (length < HEADER_BYTES) throw malformed('a compressed transaction with an event shorter than its header');
      if (bytes.length - at < length) {
        this.#neededBytes = length;
        break;
      }
      const event = bytes.subarray(at, at + length);
      yield eventOf(event, event.length);
      at += length;
    }
    this.#rest = [bytes.subarray(at)];
    this.#restBytes = bytes.length - at;
  }

  end(size: number): void {
    if (this.#restBytes > 0) throw malformed('a compressed transaction that ends within an event');
    if (this.#seenBytes !== size) throw malformed('a compressed transaction of another length than it says');
  }
}
