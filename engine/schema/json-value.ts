import { AppError } from '../../core/errors.ts';
import { escapeBytes, type Bytes } from '../server/connection.ts';

/**
 * The canonical form of a JSON document is JSON text that a server parses to the identical document. But documents also
 * hold values for which JSON has no text: DECIMAL, dates and times, binary strings. (JSON_OBJECT('price', price) makes
 * one.) They print as a number or a string, and parsed again they are another value: 12345678901234567890.5 loses its
 * digits, a DATE no longer compares with dates. So where a document has them, its text is followed by NUL, which JSON
 * text cannot hold, and by arguments of JSON_SET that put each of them in its place. This is exact (tried on 9.7: JSON_TYPE
 * of every path).
 */
const MARK = '\0';

/** Names of JSON_TYPE for them. UNSIGNED INTEGER is none: it comes back as an INTEGER of the same number. */
export const TYPED = ['DECIMAL', 'DATE', 'TIME', 'DATETIME', 'TIMESTAMP', 'BLOB', 'BIT', 'OPAQUE'] as const;
export type TypedKind = (typeof TYPED)[number];

/** Object keys as bytes, array indexes as numbers. */
export type JsonPath = readonly (Bytes | number)[];

export interface TypedPart {
  path: JsonPath;
  kind: TypedKind;
  /** As the server prints it, without quotes and escapes. */
  text: Bytes;
}

export function typedDocument(text: Bytes, parts: readonly TypedPart[]): Bytes {
  if (parts.length === 0) return text;
  return `${text}${MARK}${parts.map(({ path, kind, text }) => `${pathLiteral(path)},${scalarSql(kind, text)}`).join(',')}`;
}

/** What the server prints. */
export function plainJson(value: Bytes): Bytes {
  const mark = value.indexOf(MARK);
  return mark === -1 ? value : value.slice(0, mark);
}

export function jsonLiteral(value: Bytes): Bytes {
  const mark = value.indexOf(MARK);
  if (mark === -1) return `_utf8mb4'${escapeBytes(value)}'`;
  return `JSON_SET(CAST(_utf8mb4'${escapeBytes(value.slice(0, mark))}' AS JSON),${value.slice(mark + 1)})`;
}

/** Quoted keys of a path take the escapes of JSON strings (manual, "JSON Path Syntax"). */
export function pathLiteral(path: JsonPath): Bytes {
  const legs = path.map((leg) => (typeof leg === 'number' ? `[${leg}]` : `.${JSON.stringify(leg)}`));
  return `_utf8mb4'${escapeBytes(`$${legs.join('')}`)}'`;
}

function scalarSql(kind: TypedKind, text: Bytes): Bytes {
  switch (kind) {
    case 'DECIMAL':
      return decimalSql(text);
    case 'DATE':
      return `CAST('${text}' AS DATE)`;
    case 'TIME':
      return `CAST('${text}' AS TIME(6))`;
    case 'DATETIME':
      return `CAST('${text}' AS DATETIME(6))`;
    case 'TIMESTAMP':
      return ofColumn(`_utf8mb4'${text}'`, 'TIMESTAMP(6)');
    case 'BLOB':
    case 'BIT':
    case 'OPAQUE':
      return binarySql(text);
    default:
      throw new Error(`no such type: ${String(kind satisfies never)}`);
  }
}

function decimalSql(text: Bytes): Bytes {
  const [whole = '', fraction = ''] = text.replace('-', '').split('.');
  return `CAST('${text}' AS DECIMAL(${Math.max(1, whole.length + fraction.length)},${fraction.length}))`;
}

/** Types of columns by their numbers in the log, whose values in a document say so: `base64:type252:…`. */
const BLOBS: Record<string, string> = { '249': 'TINYBLOB', '250': 'MEDIUMBLOB', '251': 'LONGBLOB', '252': 'BLOB' };

function binarySql(text: Bytes): Bytes {
  const [, type = '', base64 = ''] = /^base64:type(\d+):([^]*)$/.exec(text) ?? [];
  const bytes = Buffer.from(base64, 'base64');
  const literal = `_binary'${escapeBytes(bytes.toString('latin1'))}'`;
  const blob = BLOBS[type];
  if (blob !== undefined) return ofColumn(literal, blob);
  switch (type) {
    case '15':
      return literal;
    case '254':
      return ofColumn(literal, `BINARY(${bytes.length})`);
    case '16':
      return ofColumn(
        bytes.length === 0 ? '0' : String(BigInt(`0x${bytes.toString('hex')}`)),
        `BIT(${bytes.length * 8})`,
      );
    default:
      throw new AppError(
        'JSON_VALUE_UNSUPPORTED',
        `a JSON document holds a value of type ${type}: ${text.slice(0, 64)}`,
      );
  }
}

/**
 * No expression has these types; the column of a JSON_TABLE does. Its path takes no introducer, and must not be binary as
 * other literals of our connections are: N'…' is utf8mb3, and draws warning 3720 for its name.
 */
function ofColumn(value: Bytes, type: string): Bytes {
  return `(SELECT v FROM JSON_TABLE(JSON_ARRAY(${value}), _utf8mb4'$[*]' COLUMNS (v ${type} PATH N'$')) t)`;
}
