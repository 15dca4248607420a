import { inflateRawSync, inflateSync } from 'node:zlib';
import { AppError } from '../../core/errors.ts';
import type { Column } from '../schema/table.ts';
import type { Bytes } from '../server/connection.ts';
import type { Cursor } from './cursor.ts';
import { malformed } from './event.ts';
import { jsonText } from './json-text.ts';
import { inet4Text, inet6Text, uuidText } from './network-text.ts';
import { decimalBytes, decimalText, doubleText, floatText } from './number-text.ts';
import { TYPE, type MappedColumn } from './table-map.ts';
import {
  dateText,
  datetime2Text,
  fractionBytes,
  oldDatetimeText,
  oldTimestampText,
  oldTimeText,
  time2Text,
  timestamp2Text,
} from './temporal-text.ts';

/** Reads one value that is not NULL, in canonical form (engine/schema/table.ts), and moves the cursor behind it. */
export type ColumnReader = (cursor: Cursor) => Bytes;

/** Which types of the log a column of the imported table may have; another one means that the table was changed. */
const EXPECTED: Record<string, readonly number[]> = {
  tinyint: [TYPE.TINY],
  smallint: [TYPE.SHORT],
  mediumint: [TYPE.INT24],
  int: [TYPE.LONG],
  bigint: [TYPE.LONGLONG],
  float: [TYPE.FLOAT],
  double: [TYPE.DOUBLE],
  decimal: [TYPE.NEWDECIMAL],
  date: [TYPE.DATE, TYPE.NEWDATE],
  time: [TYPE.TIME2, TYPE.TIME],
  datetime: [TYPE.DATETIME2, TYPE.DATETIME],
  timestamp: [TYPE.TIMESTAMP2, TYPE.TIMESTAMP],
  year: [TYPE.YEAR],
  bit: [TYPE.BIT],
  enum: [TYPE.ENUM],
  set: [TYPE.SET],
  json: [TYPE.JSON],
  char: [TYPE.STRING, TYPE.VAR_STRING],
  binary: [TYPE.STRING],
  varchar: [TYPE.VARCHAR, TYPE.VAR_STRING, TYPE.MARIADB_VARCHAR_COMPRESSED],
  varbinary: [TYPE.VARCHAR, TYPE.VAR_STRING, TYPE.MARIADB_VARCHAR_COMPRESSED],
  vector: [TYPE.VECTOR, TYPE.VARCHAR],
  uuid: [TYPE.STRING],
  inet4: [TYPE.STRING],
  inet6: [TYPE.STRING],
};

const BLOBS = [
  TYPE.BLOB,
  TYPE.TINY_BLOB,
  TYPE.MEDIUM_BLOB,
  TYPE.LONG_BLOB,
  TYPE.GEOMETRY,
  TYPE.MARIADB_BLOB_COMPRESSED,
];

/** Whether row images of `mapped` can be those of `column`. */
export function fits(mapped: MappedColumn, column: Column): boolean {
  const types: readonly number[] = EXPECTED[column.dataType] ?? BLOBS;
  if (!types.includes(mapped.type)) return false;
  if (mapped.name !== null && mapped.name.toLowerCase() !== column.name.toLowerCase()) return false;
  return mapped.unsigned === null || mapped.unsigned === column.unsigned || column.dataType === 'year';
}

/** A reader made once for a column, so that nothing is decided again for each value. */
export function columnReader(mapped: MappedColumn, column: Column): ColumnReader {
  const { type, low, high } = mapped;
  switch (type) {
    case TYPE.TINY:
    case TYPE.SHORT:
    case TYPE.INT24:
    case TYPE.LONG:
      return integerReader(type, column.unsigned);
    case TYPE.LONGLONG:
      return column.unsigned ? readUnsigned64 : readSigned64;
    case TYPE.FLOAT:
      return (cursor) => floatText(cursor.bytes.readFloatLE(cursor.take(4)));
    case TYPE.DOUBLE:
      return (cursor) => doubleText(cursor.bytes.readDoubleLE(cursor.take(8)));
    case TYPE.NEWDECIMAL: {
      const size = decimalBytes(low, high);
      return (cursor) => decimalText(cursor.bytes, cursor.take(size), low, high);
    }
    case TYPE.YEAR:
      return (cursor) => {
        const value = cursor.uint8();
        return value === 0 ? '0000' : String(1900 + value);
      };
    case TYPE.DATE:
    case TYPE.NEWDATE:
      return (cursor) => dateText(cursor.uint(3));
    case TYPE.DATETIME2:
      return (cursor) => datetime2Text(cursor.bytes, cursor.take(5 + fractionBytes(low)), low);
    case TYPE.TIMESTAMP2:
      return (cursor) => timestamp2Text(cursor.bytes, cursor.take(4 + fractionBytes(low)), low);
    case TYPE.TIME2:
      return (cursor) => time2Text(cursor.bytes, cursor.take(3 + fractionBytes(low)), low);
    case TYPE.DATETIME:
      return withoutFraction(column, (cursor) => oldDatetimeText(cursor.bytes, cursor.take(8)));
    case TYPE.TIMESTAMP:
      return withoutFraction(column, (cursor) => oldTimestampText(cursor.bytes, cursor.take(4)));
    case TYPE.TIME:
      return withoutFraction(column, (cursor) => oldTimeText(cursor.bytes, cursor.take(3)));
    case TYPE.BIT:
      return bitReader(high + (low > 0 ? 1 : 0));
    case TYPE.ENUM:
    case TYPE.SET:
      // ENUM and SET arrive inside STRING with their size in the low byte.
      return low === 8 ? readUnsigned64 : (cursor) => String(cursor.uint(low));
    case TYPE.STRING:
      return stringReader(low, column);
    case TYPE.VARCHAR:
    case TYPE.VAR_STRING:
      return low < 256 ? (cursor) => cursor.latin1(cursor.uint8()) : (cursor) => cursor.latin1(cursor.uint16());
    case TYPE.BLOB:
    case TYPE.TINY_BLOB:
    case TYPE.MEDIUM_BLOB:
    case TYPE.LONG_BLOB:
    case TYPE.GEOMETRY:
    case TYPE.VECTOR:
      return (cursor) => cursor.latin1(cursor.uint(low));
    case TYPE.JSON:
      return (cursor) => {
        const size = cursor.uint(low);
        const start = cursor.take(size);
        return jsonText(cursor.bytes, start, start + size);
      };
    case TYPE.MARIADB_VARCHAR_COMPRESSED:
      return (cursor) => decompressed(cursor.slice(low < 256 ? cursor.uint8() : cursor.uint16()));
    case TYPE.MARIADB_BLOB_COMPRESSED:
      return (cursor) => decompressed(cursor.slice(cursor.uint(low)));
    default:
      throw new AppError(
        'STREAM_EVENT_UNKNOWN',
        `column ${column.name} has type ${type} in the binary log, which is not known`,
      );
  }
}

function integerReader(type: number, unsigned: boolean): ColumnReader {
  const size = type === TYPE.TINY ? 1 : type === TYPE.SHORT ? 2 : type === TYPE.INT24 ? 3 : 4;
  return unsigned
    ? (cursor) => String(cursor.bytes.readUIntLE(cursor.take(size), size))
    : (cursor) => String(cursor.bytes.readIntLE(cursor.take(size), size));
}

const SAFE_HIGH = 0x200000;

/** Within ±2^53 without a bigint, which is several times slower. */
function readUnsigned64(cursor: Cursor): Bytes {
  const start = cursor.take(8);
  const high = cursor.bytes.readUInt32LE(start + 4);
  if (high < SAFE_HIGH) return String(high * 2 ** 32 + cursor.bytes.readUInt32LE(start));
  return String(cursor.bytes.readBigUInt64LE(start));
}

function readSigned64(cursor: Cursor): Bytes {
  const start = cursor.take(8);
  const high = cursor.bytes.readInt32LE(start + 4);
  if (high >= -SAFE_HIGH && high < SAFE_HIGH) return String(high * 2 ** 32 + cursor.bytes.readUInt32LE(start));
  return String(cursor.bytes.readBigInt64LE(start));
}

function bitReader(size: number): ColumnReader {
  if (size <= 6) return (cursor) => String(cursor.bytes.readUIntBE(cursor.take(size), size));
  return (cursor) => {
    const start = cursor.take(size);
    let value = 0n;
    for (let index = 0; index < size; index += 1) value = (value << 8n) | BigInt(cursor.bytes[start + index] ?? 0);
    return String(value);
  };
}

/** CHAR loses its trailing spaces in the log and in a SELECT alike; BINARY(n) loses its zeros in the log alone. */
function stringReader(bytesMax: number, column: Column): ColumnReader {
  const read: ColumnReader =
    bytesMax < 256 ? (cursor) => cursor.latin1(cursor.uint8()) : (cursor) => cursor.latin1(cursor.uint16());
  switch (column.dataType) {
    case 'binary': {
      const length = column.length ?? bytesMax;
      return (cursor) => read(cursor).padEnd(length, '\0');
    }
    case 'uuid':
      return (cursor) => uuidText(read(cursor).padEnd(16, '\0'));
    case 'inet6':
      return (cursor) => inet6Text(read(cursor).padEnd(16, '\0'));
    case 'inet4':
      return (cursor) => inet4Text(read(cursor).padEnd(4, '\0'));
    default:
      return read;
  }
}

/** The old formats have no room for a fraction; MariaDB's own (mysql56_temporal_format=OFF) cannot be told apart. */
function withoutFraction(column: Column, reader: ColumnReader): ColumnReader {
  if (/\([1-6]\)/.test(column.columnType)) {
    throw new AppError(
      'STREAM_EVENT_UNKNOWN',
      `column ${column.name} has a fraction of seconds in MariaDB's old format, which the binary log does not describe`,
      {
        details: { remedy: 'ALTER TABLE … FORCE with mysql56_temporal_format=ON rewrites the column.' },
      },
    );
  }
  return reader;
}

/**
 * MariaDB's compressed columns (sql/field.cc, Field_longstr::compress; storage-independent column compression): an
 * empty value is empty; else a byte with the method (0 as it is, 8 zlib), a bit for raw deflate, and the number of
 * bytes of the original length, which follows.
 */
function decompressed(stored: Buffer): Bytes {
  const [head] = stored;
  if (head === undefined) return '';
  const method = head >> 4;
  if (method === 0) return stored.toString('latin1', 1);
  if (method !== 8) throw malformed(`a compressed column with method ${method}`);
  const body = stored.subarray(1 + (head & 7));
  return ((head & 8) === 0 ? inflateSync(body) : inflateRawSync(body)).toString('latin1');
}
