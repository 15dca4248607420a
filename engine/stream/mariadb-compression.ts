import { inflateSync } from 'node:zlib';
import { malformed } from './event.ts';

/**
 * MariaDB's log_bin_compress (sql/log_event.cc, binlog_buf_uncompress): a byte with the method (0 zlib) and the
 * number of bytes of the original length, that length big-endian, then the zlib stream.
 */
export function inflateMariadb(bytes: Buffer): Buffer {
  const head = bytes[0] ?? 0;
  const method = (head & 0x70) >> 4;
  const lengthBytes = head & 7;
  if (method !== 0 || lengthBytes < 1 || lengthBytes > 4) throw malformed(`an event compressed with method ${method}`);
  const plain = inflateSync(bytes.subarray(1 + lengthBytes));
  if (plain.length !== bytes.readUIntBE(1, lengthBytes))
    throw malformed('a compressed event of another length than it says');
  return plain;
}
