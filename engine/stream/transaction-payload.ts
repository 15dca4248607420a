import { zstdDecompressSync } from 'node:zlib';
import { Cursor } from './cursor.ts';
import { eventOf, HEADER_BYTES, malformed, type BinlogEvent } from './event.ts';

const FIELD_END = 0;
const FIELD_COMPRESSION = 2;
const FIELD_SIZE = 3;
const ZSTD = 0;
const NONE = 255;

/**
 * The events inside a TRANSACTION_PAYLOAD (binlog_transaction_compression, MySQL 8.0.20+); those have no checksums of
 * their own. https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Transaction__payload__event.html
 */
export function* payloadEvents({ body }: BinlogEvent): Generator<BinlogEvent> {
  const cursor = new Cursor(body);
  let method = NONE;
  let size = 0;
  for (let field = cursor.lenenc(); field !== FIELD_END; field = cursor.lenenc()) {
    const value = new Cursor(cursor.slice(cursor.lenenc()));
    if (field === FIELD_COMPRESSION) method = value.lenenc();
    else if (field === FIELD_SIZE) size = value.lenenc();
  }
  const stored = cursor.slice(cursor.left);
  if (method !== ZSTD && method !== NONE) throw malformed(`a transaction compressed with method ${method}`);
  const events = method === ZSTD ? zstdDecompressSync(stored) : stored;
  if (method === ZSTD && events.length !== size)
    throw malformed('a compressed transaction of another length than it says');
  for (let at = 0; at < events.length;) {
    const end = at + (at + HEADER_BYTES <= events.length ? events.readUInt32LE(at + 9) : 0);
    if (end < at + HEADER_BYTES || end > events.length)
      throw malformed('a compressed transaction that ends within an event');
    const event = events.subarray(at, end);
    yield eventOf(event, event.length);
    at = end;
  }
}
