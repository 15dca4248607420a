import type { Bytes } from '../server/connection.ts';
import { decodeStatement } from './client-charset.ts';
import { Cursor } from './cursor.ts';
import { EVENT, type BinlogEvent } from './event.ts';
import { inflateMariadb } from './mariadb-compression.ts';
import { readStatementSession, type StatementSession } from './statement-session.ts';

export interface LoggedQuery {
  /** The session's default schema; empty when there was none. */
  schema: string;
  /** For reading; what could not be decoded is U+FFFD. */
  sql: string;
  /** As the client sent it, in the charset of `session`. */
  bytes: Bytes;
  session: StatementSession;
}

/** Opens a transaction, as nearly every QUERY_EVENT does; then there is nothing else to be read in it. */
export function isBegin({ body }: BinlogEvent): boolean {
  const { length } = body;
  return (
    length > BEGIN.length &&
    body.readUInt8(length - BEGIN.length - 1) === 0 &&
    body.subarray(length - BEGIN.length).equals(BEGIN)
  );
}

const BEGIN = Buffer.from('BEGIN');

/** https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Query__event.html */
export function readQuery({ type, timestamp, body }: BinlogEvent): LoggedQuery {
  const cursor = new Cursor(body, 8);
  const schemaBytes = cursor.uint8();
  cursor.skip(2);
  const statusBytes = cursor.uint16();
  // The file, the span of the file name in the statement, and what to do with duplicates.
  if (type === EVENT.EXECUTE_LOAD_QUERY) cursor.skip(13);
  const session = readStatementSession(new Cursor(cursor.slice(statusBytes)), timestamp);
  const schema = cursor.slice(schemaBytes).toString('utf8');
  cursor.skip(1);
  const logged = cursor.slice(cursor.left);
  const text = type === EVENT.MARIADB_QUERY_COMPRESSED ? inflateMariadb(logged) : logged;
  const client = session.charset?.client ?? null;
  return { schema, sql: decodeStatement(text, client).trim(), bytes: text.toString('latin1'), session };
}

/** `format:gtrid:bqual`, hexadecimal, of an XA_PREPARE event; `onePhase` commits at once. */
export function readXaPrepare({ body }: BinlogEvent): { xid: string; onePhase: boolean } {
  const cursor = new Cursor(body);
  const onePhase = cursor.uint8() !== 0;
  const format = cursor.uint32();
  const gtridBytes = cursor.uint32();
  const bqualBytes = cursor.uint32();
  return {
    xid: `${format}:${cursor.slice(gtridBytes).toString('hex')}:${cursor.slice(bqualBytes).toString('hex')}`,
    onePhase,
  };
}

const XA = /^XA\s+(START|BEGIN|END|PREPARE|COMMIT|ROLLBACK)\s+X'([0-9a-f]*)'\s*,\s*X'([0-9a-f]*)'\s*,\s*(\d+)/i;

/** The servers log XA statements with a hexadecimal xid (XID::serialize). */
export function readXaStatement(sql: string): { verb: string; xid: string } | undefined {
  const match = XA.exec(sql);
  const [, verb, gtrid, bqual, format] = match ?? [];
  if (verb === undefined) return undefined;
  return { verb: verb.toUpperCase(), xid: `${format}:${gtrid?.toLowerCase()}:${bqual?.toLowerCase()}` };
}
