import type { Cursor } from './cursor.ts';

/** What the effect of a logged statement depends on, beside its text: the session that ran it. */
export interface StatementSession {
  /** When it began, seconds since the epoch with microseconds: what NOW() was. */
  timestamp: string;
  /** Options of the session that are logged (flags2), as bits of the origin's family. */
  flags: number;
  /** As a number of the origin's family; null where that was not logged. */
  sqlMode: bigint | null;
  /** Collations by number, whose charsets are those of client, connection and server. */
  charset: { client: number; connection: number } | null;
  /** Null: the statement did not use it. */
  timeZone: string | null;
  /** Null: 1 and 1. */
  autoIncrement: { increment: number; offset: number } | null;
  lcTimeNames: number | null;
  explicitDefaultsForTimestamp: boolean | null;
  defaultCollationForUtf8mb4: number | null;
}

/**
 * The status variables of a QUERY_EVENT, in `cursor` as a whole. They come in the order of their codes; what follows an unknown
 * one has no known place, and the servers stop there as well.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Query__event.html,
 * MariaDB: sql/log_event.h (codes from 128 on)
 */
export function readStatementSession(cursor: Cursor, seconds: number): StatementSession {
  let microseconds = 0;
  const session: StatementSession = {
    timestamp: '',
    flags: 0,
    sqlMode: null,
    charset: null,
    timeZone: null,
    autoIncrement: null,
    lcTimeNames: null,
    explicitDefaultsForTimestamp: null,
    defaultCollationForUtf8mb4: null,
  };
  const text = () => cursor.latin1(cursor.uint8());
  reading: while (cursor.left > 0) {
    const code = cursor.uint8();
    switch (code) {
      case CODE.FLAGS2:
        session.flags = cursor.uint32();
        break;
      case CODE.SQL_MODE:
        session.sqlMode = cursor.uint64();
        break;
      case CODE.CATALOG:
        text();
        cursor.skip(1);
        break;
      case CODE.AUTO_INCREMENT:
        session.autoIncrement = { increment: cursor.uint16(), offset: cursor.uint16() };
        break;
      case CODE.CHARSET:
        session.charset = { client: cursor.uint16(), connection: cursor.uint16() };
        cursor.skip(2);
        break;
      case CODE.TIME_ZONE:
        session.timeZone = text();
        break;
      case CODE.CATALOG_NZ:
        text();
        break;
      case CODE.LC_TIME_NAMES:
        session.lcTimeNames = cursor.uint16();
        break;
      case CODE.CHARSET_DATABASE:
        cursor.skip(2);
        break;
      case CODE.TABLE_MAP_FOR_UPDATE:
      case CODE.DDL_XID:
        cursor.skip(8);
        break;
      case CODE.MASTER_DATA_WRITTEN:
        cursor.skip(4);
        break;
      case CODE.INVOKER:
        text();
        text();
        break;
      case CODE.UPDATED_DB_NAMES:
        skipNames(cursor);
        break;
      case CODE.MICROSECONDS:
      case CODE.MARIADB_MICROSECONDS:
        microseconds = cursor.uint(3);
        break;
      case CODE.EXPLICIT_DEFAULTS:
        session.explicitDefaultsForTimestamp = cursor.uint8() !== 0;
        break;
      case CODE.DEFAULT_COLLATION_FOR_UTF8MB4:
        session.defaultCollationForUtf8mb4 = cursor.uint16();
        break;
      default:
        break reading;
    }
  }
  session.timestamp = `${seconds}.${String(microseconds).padStart(6, '0')}`;
  return session;
}

const CODE = {
  FLAGS2: 0,
  SQL_MODE: 1,
  CATALOG: 2,
  AUTO_INCREMENT: 3,
  CHARSET: 4,
  TIME_ZONE: 5,
  CATALOG_NZ: 6,
  LC_TIME_NAMES: 7,
  CHARSET_DATABASE: 8,
  TABLE_MAP_FOR_UPDATE: 9,
  MASTER_DATA_WRITTEN: 10,
  INVOKER: 11,
  UPDATED_DB_NAMES: 12,
  MICROSECONDS: 13,
  EXPLICIT_DEFAULTS: 16,
  DDL_XID: 17,
  DEFAULT_COLLATION_FOR_UTF8MB4: 18,
  MARIADB_MICROSECONDS: 128,
} as const;

/** As many names as it says, each ended by NUL; 254: too many, none. */
function skipNames(cursor: Cursor): void {
  const count = cursor.uint8();
  if (count === 254) return;
  for (let i = 0; i < count; i += 1) while (cursor.uint8() !== 0);
}
