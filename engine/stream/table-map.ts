import type { Flavor } from '../../core/gtid.ts';
import { Cursor } from './cursor.ts';
import type { BinlogEvent } from './event.ts';

/** Column types of the binary log (include/field_types.h; MariaDB's own from sql/log_event.h and include/mysql_com.h). */
export const TYPE = {
  DECIMAL: 0,
  TINY: 1,
  SHORT: 2,
  LONG: 3,
  FLOAT: 4,
  DOUBLE: 5,
  NULL: 6,
  TIMESTAMP: 7,
  LONGLONG: 8,
  INT24: 9,
  DATE: 10,
  TIME: 11,
  DATETIME: 12,
  YEAR: 13,
  NEWDATE: 14,
  VARCHAR: 15,
  BIT: 16,
  TIMESTAMP2: 17,
  DATETIME2: 18,
  TIME2: 19,
  TYPED_ARRAY: 20,
  MARIADB_BLOB_COMPRESSED: 140,
  MARIADB_VARCHAR_COMPRESSED: 141,
  VECTOR: 242,
  JSON: 245,
  NEWDECIMAL: 246,
  ENUM: 247,
  SET: 248,
  TINY_BLOB: 249,
  MEDIUM_BLOB: 250,
  LONG_BLOB: 251,
  BLOB: 252,
  VAR_STRING: 253,
  STRING: 254,
  GEOMETRY: 255,
} as const;

export interface MappedColumn {
  /** The real type: ENUM and SET are unwrapped from STRING. */
  type: number;
  /** Two bytes, meaning by type: length, precision and scale, digits of the fraction, bytes of a length. */
  low: number;
  high: number;
  /** From the optional metadata; null where there are none or it is no number. */
  unsigned: boolean | null;
  /** The number of the collation of text and bytes, from the optional metadata. MySQL 8 logs it unless told otherwise, MariaDB when told to. */
  collation: number | null;
  /** With binlog_row_metadata=FULL. */
  name: string | null;
}

export interface TableMap {
  id: number;
  schema: string;
  name: string;
  columns: MappedColumn[];
}

/** Table ids are reused with other meanings after a restart or a change of the table: the map in force is the last one. */
export function readTableId(body: Buffer): number {
  return body.readUIntLE(0, 6);
}

/** Schema and table name, without the cost of the rest. */
export function readTableName(body: Buffer): { schema: string; name: string; next: number } {
  const cursor = new Cursor(body, 8);
  const schema = cursor.slice(cursor.uint8()).toString('utf8');
  cursor.skip(1);
  const name = cursor.slice(cursor.lenenc()).toString('utf8');
  cursor.skip(1);
  return { schema, name, next: cursor.at };
}

/** https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Table__map__event.html */
export function readTableMap({ body }: BinlogEvent, flavor: Flavor): TableMap {
  const { schema, name, next } = readTableName(body);
  const cursor = new Cursor(body, next);
  const types = cursor.slice(cursor.lenenc());
  const metadata = new Cursor(cursor.slice(cursor.lenenc()));
  const columns = Array.from(types, (type) => readColumn(type, metadata));
  cursor.skip((columns.length + 7) >> 3);
  while (cursor.left >= 2) readOptional(cursor.uint8(), cursor.slice(cursor.lenenc()), { columns, flavor });
  return { id: readTableId(body), schema, name, columns };
}

/** How many bytes of metadata a type has: sql/log_event.cc, Table_map_log_event::save_field_metadata. */
function readColumn(type: number, metadata: Cursor): MappedColumn {
  const column: MappedColumn = { type, low: 0, high: 0, unsigned: null, collation: null, name: null };
  switch (type) {
    case TYPE.STRING: {
      const first = metadata.uint8();
      const second = metadata.uint8();
      // CHAR above 255 bytes keeps two bits of its length, inverted, in the type.
      const wide = (first & 0x30) !== 0x30;
      column.type = wide ? first | 0x30 : first;
      column.low = wide ? second | (((first & 0x30) ^ 0x30) << 4) : second;
      return column;
    }
    case TYPE.VARCHAR:
    case TYPE.VAR_STRING:
    case TYPE.MARIADB_VARCHAR_COMPRESSED:
      column.low = metadata.uint16();
      return column;
    case TYPE.BIT:
    case TYPE.NEWDECIMAL:
    case TYPE.ENUM:
    case TYPE.SET:
      column.low = metadata.uint8();
      column.high = metadata.uint8();
      return column;
    case TYPE.FLOAT:
    case TYPE.DOUBLE:
    case TYPE.BLOB:
    case TYPE.TINY_BLOB:
    case TYPE.MEDIUM_BLOB:
    case TYPE.LONG_BLOB:
    case TYPE.GEOMETRY:
    case TYPE.JSON:
    case TYPE.VECTOR:
    case TYPE.TIMESTAMP2:
    case TYPE.DATETIME2:
    case TYPE.TIME2:
    case TYPE.MARIADB_BLOB_COMPRESSED:
      column.low = metadata.uint8();
      return column;
    default:
      return column;
  }
}

const OPTIONAL_SIGNEDNESS = 1;
const OPTIONAL_DEFAULT_CHARSET = 2;
const OPTIONAL_COLUMN_CHARSET = 3;
const OPTIONAL_COLUMN_NAME = 4;
const NUMERIC: ReadonlySet<number> = new Set([
  TYPE.TINY,
  TYPE.SHORT,
  TYPE.INT24,
  TYPE.LONG,
  TYPE.LONGLONG,
  TYPE.NEWDECIMAL,
  TYPE.FLOAT,
  TYPE.DOUBLE,
  TYPE.YEAR,
]);

const WITH_COLLATION: ReadonlySet<number> = new Set([
  TYPE.STRING,
  TYPE.VAR_STRING,
  TYPE.VARCHAR,
  TYPE.TINY_BLOB,
  TYPE.MEDIUM_BLOB,
  TYPE.LONG_BLOB,
  TYPE.BLOB,
  TYPE.VECTOR,
  TYPE.MARIADB_VARCHAR_COMPRESSED,
  TYPE.MARIADB_BLOB_COMPRESSED,
]);
/** Tried with each type on MySQL 9.7 and MariaDB 11.8: MariaDB counts GEOMETRY among them, MySQL does not. */
const WITH_COLLATION_OF_MARIADB: ReadonlySet<number> = new Set([...WITH_COLLATION, TYPE.GEOMETRY]);

function readOptional(
  field: number,
  value: Buffer,
  { columns, flavor }: { columns: MappedColumn[]; flavor: Flavor },
): void {
  if (field === OPTIONAL_SIGNEDNESS) {
    // One bit for each numeric column, the highest first.
    columns
      .filter(({ type }) => NUMERIC.has(type))
      .forEach((column, index) => {
        column.unsigned = (((value[index >> 3] ?? 0) >> (7 - (index & 7))) & 1) === 1;
      });
  } else if (field === OPTIONAL_DEFAULT_CHARSET || field === OPTIONAL_COLUMN_CHARSET) {
    const types = flavor === 'mariadb' ? WITH_COLLATION_OF_MARIADB : WITH_COLLATION;
    readCollations(
      field,
      new Cursor(value),
      columns.filter(({ type }) => types.has(type)),
    );
  } else if (field === OPTIONAL_COLUMN_NAME) {
    const cursor = new Cursor(value);
    for (const column of columns) column.name = cursor.slice(cursor.lenenc()).toString('utf8');
  }
}

/** Of each, or that of most of them and the others by their number among them. */
function readCollations(field: number, cursor: Cursor, columns: MappedColumn[]): void {
  if (field === OPTIONAL_COLUMN_CHARSET) {
    for (const column of columns) column.collation = cursor.lenenc();
    return;
  }
  const most = cursor.lenenc();
  for (const column of columns) column.collation = most;
  while (cursor.left > 0) {
    const column = columns[cursor.lenenc()];
    const collation = cursor.lenenc();
    if (column !== undefined) column.collation = collation;
  }
}
