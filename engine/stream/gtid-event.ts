import { Cursor } from './cursor.ts';
import { EVENT, malformed, type BinlogEvent } from './event.ts';

/** The event that opens every transaction. */
export interface TransactionStart {
  gtid: string;
  committedAtMs: number;
  /**
   * When it was committed, as logged: of another transaction another. `us` of microseconds on the server that it comes from, the same in
   * the log of every server; `s` of seconds, which a replica may log otherwise.
   */
  stamp: string;
  /** What follows is one statement or a pair of BEGIN and COMMIT (MySQL: always; the QUERY_EVENT tells). */
  opensTransaction: boolean;
  /** MariaDB: `formatId:gtrid:bqual` of the XA transaction that this one prepares or ends. */
  xid: string | null;
  /** MariaDB (`binlog_alter_two_phase`): an ALTER that begins here, or is rolled back. Only where it commits it changes anything. */
  isVoidAlter: boolean;
}

export function readTransactionStart(event: BinlogEvent): TransactionStart {
  switch (event.type) {
    case EVENT.GTID:
      return readGtid(event);
    case EVENT.GTID_TAGGED:
      return readTaggedGtid(event);
    case EVENT.MARIADB_GTID:
      return readMariadbGtid(event);
    default:
      throw malformed(`an event of type ${event.type} where a GTID was expected`);
  }
}

/** libs/mysql/binlog/event/control_events.h, Gtid_event. The commit time (microseconds) is there since 8.0. */
function readGtid(event: BinlogEvent): TransactionStart {
  const cursor = new Cursor(event.body);
  cursor.skip(1);
  const uuid = uuidText(cursor.slice(16));
  const number = cursor.uint64();
  let committedAtMs = event.timestamp * 1000;
  let stamp = `s${event.timestamp}`;
  if (cursor.left >= 17 + 7 && cursor.uint8() === 2) {
    cursor.skip(16);
    const low = cursor.uint32();
    // The highest of 56 bits says that the original commit time follows: this server is a replica itself.
    const high = cursor.uint(3);
    const microseconds = (high & 0x7fffff) * 2 ** 32 + low;
    if (microseconds > 0) {
      committedAtMs = microseconds / 1000;
      const isReplicated = (high & 0x800000) !== 0 && cursor.left >= 7;
      stamp = `us${isReplicated ? cursor.uint32() + cursor.uint(3) * 2 ** 32 : microseconds}`;
    }
  }
  return { gtid: `${uuid}:${number}`, committedAtMs, stamp, opensTransaction: false, xid: null, isVoidAlter: false };
}

/**
 * Tagged GTIDs (8.3+): one message of mysql::serialization, fields with rising ids, each id and value a variable-length
 * integer; an absent field has its default (libs/mysql/serialization/readme.md; Gtid_event::define_fields:
 * 0 flags, 1 uuid, 2 number, 3 tag, 4 last committed, 5 sequence number, 6 commit time here, 7 at the origin, …).
 */
function readTaggedGtid(event: BinlogEvent): TransactionStart {
  const cursor = new Cursor(event.body);
  const version = varint(cursor);
  if (version !== 1n) throw malformed(`a tagged GTID in version ${version} of its format`);
  const end = Number(varint(cursor));
  if (varint(cursor) > 12n) throw malformed('a tagged GTID with fields that must be understood and are not known');
  let uuid = '';
  let number = 0n;
  let tag = '';
  let committedAtMs = event.timestamp * 1000;
  let stamp = `s${event.timestamp}`;
  while (cursor.at < end && cursor.left > 0) {
    const field = Number(varint(cursor));
    if (field === 1) uuid = uuidText(Buffer.from(Array.from({ length: 16 }, () => Number(varint(cursor)))));
    else if (field === 2) number = signedVarint(cursor);
    else if (field === 3) tag = cursor.latin1(Number(varint(cursor)));
    else if (field === 6) {
      const microseconds = Number(varint(cursor));
      committedAtMs = microseconds / 1000;
      stamp = `us${microseconds}`;
    } else if (field === 7) stamp = `us${varint(cursor)}`;
    else if (field < 6) varint(cursor);
    else break;
  }
  if (uuid === '' || number <= 0n) throw malformed('a tagged GTID without uuid or number');
  return {
    gtid: tag === '' ? `${uuid}:${number}` : `${uuid}:${tag}:${number}`,
    committedAtMs,
    stamp,
    opensTransaction: false,
    xid: null,
    isVoidAlter: false,
  };
}

/** As many bytes as the first one has trailing ones, and one; the value is in the bits above them. */
function varint(cursor: Cursor): bigint {
  const first = cursor.uint8();
  let more = 0;
  while (more < 8 && ((first >> more) & 1) === 1) more += 1;
  let rest = 0n;
  for (let index = 0; index < more; index += 1) rest |= BigInt(cursor.uint8()) << BigInt(8 * index);
  return more === 8 ? rest : BigInt(first >> (more + 1)) | (rest << BigInt(7 - more));
}

function signedVarint(cursor: Cursor): bigint {
  const value = varint(cursor);
  return (value & 1n) === 0n ? value >> 1n : -(value >> 1n) - 1n;
}

const FL_STANDALONE = 1;
const FL_GROUP_COMMIT_ID = 2;
const FL_PREPARED_XA = 64;
const FL_COMPLETED_XA = 128;
/** In a second byte of flags (sql/log_event.h); zero, as padding, where there is none. */
const FL_START_ALTER_E1 = 2;
const FL_ROLLBACK_ALTER_E1 = 8;

/** https://mariadb.com/kb/en/gtid_event/: it stands for BEGIN as well, unless it is flagged as standing alone. */
function readMariadbGtid(event: BinlogEvent): TransactionStart {
  const cursor = new Cursor(event.body);
  const sequence = cursor.uint64();
  const domain = cursor.uint32();
  const flags = cursor.uint8();
  if ((flags & FL_GROUP_COMMIT_ID) !== 0) cursor.skip(8);
  let xid: string | null = null;
  if ((flags & (FL_PREPARED_XA | FL_COMPLETED_XA)) !== 0) {
    const format = cursor.uint32();
    const gtridBytes = cursor.uint8();
    const bqualBytes = cursor.uint8();
    xid = `${format}:${cursor.slice(gtridBytes).toString('hex')}:${cursor.slice(bqualBytes).toString('hex')}`;
  }
  const extra = cursor.left > 0 ? cursor.uint8() : 0;
  return {
    gtid: `${domain}-${event.serverId}-${sequence}`,
    committedAtMs: event.timestamp * 1000,
    stamp: `s${event.timestamp}`,
    opensTransaction: (flags & FL_STANDALONE) === 0,
    xid,
    isVoidAlter: (extra & (FL_START_ALTER_E1 | FL_ROLLBACK_ALTER_E1)) !== 0,
  };
}

function uuidText(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
