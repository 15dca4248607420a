import { Cursor } from './cursor.ts';
import { EVENT, type BinlogEvent } from './event.ts';
import { inflateMariadb } from './mariadb-compression.ts';

export interface LoggedQuery {
  /** The session's default schema; empty when there was none. */
  schema: string;
  sql: string;
}

/** https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Query__event.html */
export function readQuery({ type, body }: BinlogEvent): LoggedQuery {
  const cursor = new Cursor(body, 8);
  const schemaBytes = cursor.uint8();
  cursor.skip(2);
  const statusBytes = cursor.uint16();
  // The file, the span of the file name in the statement, and what to do with duplicates.
  if (type === EVENT.EXECUTE_LOAD_QUERY) cursor.skip(13);
  cursor.skip(statusBytes);
  const schema = cursor.slice(schemaBytes).toString('utf8');
  cursor.skip(1);
  const text = cursor.slice(cursor.left);
  return { schema, sql: (type === EVENT.MARIADB_QUERY_COMPRESSED ? inflateMariadb(text) : text).toString('utf8') };
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
