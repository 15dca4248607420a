import { typedDocument, type JsonPath, type TypedPart } from '../schema/json-value.ts';
import type { Bytes } from '../server/connection.ts';
import { malformed } from './event.ts';
import { decimalText, doubleText } from './number-text.ts';
import { TYPE } from './table-map.ts';
import { packedDatetimeText, packedTimeText } from './temporal-text.ts';

/**
 * MySQL's binary JSON (sql-common/json_binary.h describes the format) as JSON text in UTF-8 bytes that a server parses
 * to the identical document. "Opaque" scalars have no JSON text: in the text they are what the server's own CAST(… AS CHAR)
 * shows (dates and times as strings, DECIMAL as a number, others as `base64:type…`), and behind it what they are
 * (`typedDocument`).
 */
export function jsonText(bytes: Buffer, start: number, end: number): Bytes {
  // A NOT NULL column filled without a value (INSERT IGNORE) is empty and reads as the literal null.
  if (start === end) return 'null';
  const document = bytes.subarray(start, end);
  const type = document[0] ?? 0;
  opaqueSeen = false;
  const text = value(document, type, 1);
  if (!opaqueSeen) return text;
  const parts: TypedPart[] = [];
  findOpaque(document, type, 1, [], parts);
  return typedDocument(text, parts);
}

/** Set while a document is written: few have any, and those are walked once more for the paths. */
let opaqueSeen = false;

const SMALL_OBJECT = 0;
const LARGE_OBJECT = 1;
const SMALL_ARRAY = 2;
const LARGE_ARRAY = 3;
const LITERAL = 4;
const INT16 = 5;
const UINT16 = 6;
const INT32 = 7;
const UINT32 = 8;
const INT64 = 9;
const UINT64 = 10;
const DOUBLE = 11;
const STRING = 12;
const OPAQUE = 15;

/** Recursion is bounded: the server refuses documents deeper than 100. */
function value(bytes: Buffer, type: number, at: number): Bytes {
  switch (type) {
    case SMALL_OBJECT:
      return container(bytes, at, 2, true);
    case LARGE_OBJECT:
      return container(bytes, at, 4, true);
    case SMALL_ARRAY:
      return container(bytes, at, 2, false);
    case LARGE_ARRAY:
      return container(bytes, at, 4, false);
    case LITERAL:
      return literal(bytes[at]);
    case INT16:
      return String(bytes.readInt16LE(at));
    case UINT16:
      return String(bytes.readUInt16LE(at));
    case INT32:
      return String(bytes.readInt32LE(at));
    case UINT32:
      return String(bytes.readUInt32LE(at));
    case INT64:
      return String(bytes.readBigInt64LE(at));
    case UINT64:
      return String(bytes.readBigUInt64LE(at));
    case DOUBLE:
      return jsonDouble(bytes.readDoubleLE(at));
    case STRING: {
      const { length, next } = varlen(bytes, at);
      return quote(cut(bytes, next, length));
    }
    case OPAQUE: {
      opaqueSeen = true;
      const { kind, text } = opaque(bytes, at);
      return kind === 'DECIMAL' ? text : quote(text);
    }
    default:
      throw malformed(`a JSON value of type ${type}`);
  }
}

function literal(code: number | undefined): Bytes {
  if (code === 0) return 'null';
  if (code === 1) return 'true';
  if (code === 2) return 'false';
  throw malformed(`a JSON literal ${code}`);
}

/** A double stays one only when its text has a point or an exponent. */
export function jsonDouble(number: number): Bytes {
  const text = doubleText(number);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/**
 * Count and size, then for objects where the keys are (offset, 2 bytes of length), then what the values are (type and
 * offset, or the value itself where it fits), all offsets from the start of the container.
 */
function container(bytes: Buffer, start: number, width: 2 | 4, object: boolean): Bytes {
  const parts: Bytes[] = [];
  eachMember(bytes, { start, width, object }, (key, type, at) => {
    const text = value(bytes, type, at);
    parts.push(typeof key === 'number' ? text : `${quote(key)}: ${text}`);
  });
  return object ? `{${parts.join(', ')}}` : `[${parts.join(', ')}]`;
}

interface Container {
  start: number;
  width: 2 | 4;
  object: boolean;
}

/** Calls `visit` with the key or index of each member, its type, and where its value is. */
function eachMember(
  bytes: Buffer,
  { start, width, object }: Container,
  visit: (key: Bytes | number, type: number, at: number) => void,
): void {
  const number = (at: number) => bytes.readUIntLE(at, width);
  const count = number(start);
  const keys = start + 2 * width;
  const values = object ? keys + count * (width + 2) : keys;
  for (let index = 0; index < count; index += 1) {
    const entry = values + index * (1 + width);
    const type = bytes[entry] ?? -1;
    const inline =
      type === LITERAL || type === INT16 || type === UINT16 || (width === 4 && (type === INT32 || type === UINT32));
    const at = inline ? entry + 1 : start + number(entry + 1);
    const key = keys + index * (width + 2);
    visit(object ? cut(bytes, start + number(key), bytes.readUInt16LE(key + width)) : index, type, at);
  }
}

function findOpaque(bytes: Buffer, type: number, at: number, path: JsonPath, parts: TypedPart[]): void {
  if (type === OPAQUE) parts.push({ path, ...opaque(bytes, at) });
  if (type > LARGE_ARRAY) return;
  const shape: Container = {
    start: at,
    width: type === LARGE_OBJECT || type === LARGE_ARRAY ? 4 : 2,
    object: type === SMALL_OBJECT || type === LARGE_OBJECT,
  };
  eachMember(bytes, shape, (key, memberType, memberAt) =>
    findOpaque(bytes, memberType, memberAt, [...path, key], parts),
  );
}

/** Seven bits a byte, the lowest first. */
function varlen(bytes: Buffer, at: number): { length: number; next: number } {
  let length = 0;
  for (let index = 0; index < 5; index += 1) {
    const byte = bytes[at + index] ?? 0;
    length += (byte & 0x7f) * 2 ** (7 * index);
    if ((byte & 0x80) === 0) return { length, next: at + index + 1 };
  }
  throw malformed('a JSON length of more than five bytes');
}

function cut(bytes: Buffer, at: number, length: number): Bytes {
  if (at + length > bytes.length) throw malformed('a JSON string that ends after its document');
  return bytes.toString('latin1', at, at + length);
}

/** As JSON_TYPE names it, and as the server prints it. */
function opaque(bytes: Buffer, at: number): Omit<TypedPart, 'path'> {
  const type = bytes[at] ?? 0;
  const { length, next } = varlen(bytes, at + 1);
  switch (type) {
    case TYPE.NEWDECIMAL:
      return { kind: 'DECIMAL', text: decimalText(bytes, next + 2, bytes[next] ?? 0, bytes[next + 1] ?? 0) };
    case TYPE.DATE:
      return { kind: 'DATE', text: packedDatetimeText(bytes.readBigInt64LE(next), true) };
    case TYPE.DATETIME:
      return { kind: 'DATETIME', text: packedDatetimeText(bytes.readBigInt64LE(next), false) };
    case TYPE.TIMESTAMP:
      return { kind: 'TIMESTAMP', text: packedDatetimeText(bytes.readBigInt64LE(next), false) };
    case TYPE.TIME:
      return { kind: 'TIME', text: packedTimeText(bytes.readBigInt64LE(next)) };
    default: {
      // The server breaks base64 into lines of 76 (mysys/base64).
      const base64 = bytes.subarray(next, next + length).toString('base64');
      return { kind: 'OPAQUE', text: `base64:type${type}:${base64.replace(/.{76}(?=.)/g, '$&\n')}` };
    }
  }
}

/** Of characters up to U+00FF, JSON.stringify escapes exactly those that JSON wants escaped: the UTF-8 bytes stay. */
function quote(text: Bytes): Bytes {
  return JSON.stringify(text);
}
