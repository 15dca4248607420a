import { crc32 } from 'node:zlib';
import { AppError } from '../../core/errors.ts';

/**
 * Binary log events, version 4: a header of 19 bytes, a body, a CRC32 of both where the log has checksums
 * (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication_binlog_event.html,
 * https://mariadb.com/kb/en/2-binlog-event-header/). Numbers are little-endian.
 */
export const EVENT = {
  QUERY: 2,
  STOP: 3,
  ROTATE: 4,
  INTVAR: 5,
  RAND: 13,
  USER_VAR: 14,
  FORMAT_DESCRIPTION: 15,
  XID: 16,
  BEGIN_LOAD_QUERY: 17,
  EXECUTE_LOAD_QUERY: 18,
  TABLE_MAP: 19,
  WRITE_ROWS_V1: 23,
  UPDATE_ROWS_V1: 24,
  DELETE_ROWS_V1: 25,
  INCIDENT: 26,
  HEARTBEAT: 27,
  IGNORABLE: 28,
  ROWS_QUERY: 29,
  WRITE_ROWS: 30,
  UPDATE_ROWS: 31,
  DELETE_ROWS: 32,
  GTID: 33,
  ANONYMOUS_GTID: 34,
  PREVIOUS_GTIDS: 35,
  TRANSACTION_CONTEXT: 36,
  VIEW_CHANGE: 37,
  XA_PREPARE: 38,
  PARTIAL_UPDATE_ROWS: 39,
  TRANSACTION_PAYLOAD: 40,
  HEARTBEAT_V2: 41,
  GTID_TAGGED: 42,
  MARIADB_ANNOTATE_ROWS: 160,
  MARIADB_BINLOG_CHECKPOINT: 161,
  MARIADB_GTID: 162,
  MARIADB_GTID_LIST: 163,
  MARIADB_START_ENCRYPTION: 164,
  MARIADB_QUERY_COMPRESSED: 165,
  MARIADB_WRITE_ROWS_COMPRESSED_V1: 166,
  MARIADB_UPDATE_ROWS_COMPRESSED_V1: 167,
  MARIADB_DELETE_ROWS_COMPRESSED_V1: 168,
  MARIADB_WRITE_ROWS_COMPRESSED: 169,
  MARIADB_UPDATE_ROWS_COMPRESSED: 170,
  MARIADB_DELETE_ROWS_COMPRESSED: 171,
} as const;

export const HEADER_BYTES = 19;
const CHECKSUM_BYTES = 4;
/** Made for this connection by the dump thread, in no file: the first ROTATE and FORMAT_DESCRIPTION. */
const FLAG_ARTIFICIAL = 0x20;
const FLAG_IGNORABLE = 0x80;

export interface BinlogEvent {
  type: number;
  /** Seconds since the epoch. */
  timestamp: number;
  /** Unsigned decimal `server_id` of the origin. */
  serverId: number;
  /** A reader that does not know the type may skip it. */
  ignorable: boolean;
  /** Bytes in the log, header and checksum included. */
  size: number;
  /** Without header and checksum. Valid only while the event is handled. */
  body: Buffer;
}

/** Cuts events out of packets and verifies their checksums; remembers what the last FORMAT_DESCRIPTION said. */
export class EventReader {
  #checksums = false;

  /** `bytes` is one event. Throws STREAM_CHECKSUM. Artificial events are handed out without being verified. */
  read(bytes: Buffer): BinlogEvent {
    if (bytes.length < HEADER_BYTES) throw malformed('an event shorter than its header');
    const type = bytes.readUInt8(4);
    const artificial = (bytes.readUInt16LE(17) & FLAG_ARTIFICIAL) !== 0;
    if (type === EVENT.FORMAT_DESCRIPTION) this.#checksums = hasChecksums(bytes);
    // ROTATE and HEARTBEAT of the dump thread's own making carry a checksum or not by rules of its own; nothing in
    // them is used, since positions are GTIDs.
    const verified = this.#checksums && !artificial && type !== EVENT.HEARTBEAT && type !== EVENT.HEARTBEAT_V2;
    if (verified) verifyChecksum(bytes, type);
    return eventOf(bytes, this.#checksums ? bytes.length - CHECKSUM_BYTES : bytes.length);
  }
}

/** The event in `bytes`, whose body ends at `end`. */
export function eventOf(bytes: Buffer, end: number): BinlogEvent {
  return {
    type: bytes.readUInt8(4),
    timestamp: bytes.readUInt32LE(0),
    serverId: bytes.readUInt32LE(5),
    ignorable: (bytes.readUInt16LE(17) & FLAG_IGNORABLE) !== 0,
    size: bytes.length,
    body: bytes.subarray(HEADER_BYTES, Math.max(end, HEADER_BYTES)),
  };
}

/** A FORMAT_DESCRIPTION ends with the algorithm (0 none, 1 CRC32) and always four bytes of checksum. */
function hasChecksums(bytes: Buffer): boolean {
  const algorithm = bytes.readUInt8(bytes.length - CHECKSUM_BYTES - 1);
  if (algorithm > 1)
    throw new AppError(
      'STREAM_EVENT_UNKNOWN',
      `the binary log uses checksum algorithm ${algorithm}, which is not known`,
    );
  return algorithm === 1;
}

function verifyChecksum(bytes: Buffer, type: number): void {
  const end = bytes.length - CHECKSUM_BYTES;
  const expected = bytes.readUInt32LE(end);
  if (crc32(bytes.subarray(0, end)) !== expected) {
    throw new AppError('STREAM_CHECKSUM', `the CRC32 of an event of type ${type} (${bytes.length} bytes) is wrong`, {
      details: { eventType: type, logPosition: bytes.readUInt32LE(13) },
    });
  }
}

export function malformed(what: string): AppError {
  return new AppError('STREAM_EVENT_MALFORMED', `the binary log has ${what}`);
}
