import type { Column } from '../schema/table.ts';
import { selectExpression, SPATIAL } from '../schema/column-sql.ts';
import { quoteName, type Bytes, type Value } from '../server/connection.ts';

const PART_BYTES_MAX = 64;
const CHARACTERS_MAX = 200;

/** Names of the Encoding Standard for the server's charsets. */
const DECODERS: Readonly<Record<string, string>> = {
  latin1: 'windows-1252',
  latin2: 'iso-8859-2',
  ucs2: 'utf-16be',
  utf16: 'utf-16be',
  utf16le: 'utf-16le',
  gbk: 'gbk',
  gb18030: 'gb18030',
  big5: 'big5',
  sjis: 'shift_jis',
  cp932: 'shift_jis',
  ujis: 'euc-jp',
  euckr: 'euc-kr',
  cp1250: 'windows-1250',
  cp1251: 'windows-1251',
  koi8r: 'koi8-r',
  ascii: 'utf-8',
  utf8: 'utf-8',
  utf8mb3: 'utf-8',
  utf8mb4: 'utf-8',
};

const BINARY = new Set(['binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob']);

/** A key for people, cut; bytes that are no text as hexadecimal. */
export function keyText(columns: readonly Column[], key: readonly Value[]): string {
  const text = `(${key.map((value, i) => partText(columns[i], value)).join(', ')})`;
  return text.length > CHARACTERS_MAX ? `${text.slice(0, CHARACTERS_MAX)}…` : text;
}

/** Reads what `shownValue` shows: a little more than is shown of long values. */
export function shownExpression(column: Column): Bytes {
  const name = quoteName(column.name);
  if (SPATIAL.has(column.dataType) || column.dataType === 'vector')
    return `CONCAT('0x',LEFT(HEX(${name}),${2 * PART_BYTES_MAX}))`;
  if (column.dataType === 'json') return cut(`CAST(${name} AS CHAR CHARACTER SET utf8mb4)`);
  if (column.dataType === 'enum' || column.dataType === 'set') return cut(`CONVERT(${name} USING utf8mb4)`);
  return BINARY.has(column.dataType) || column.charset !== null ? cut(name) : selectExpression(column);
}

/** A value for people, cut to 64 bytes; bytes that are no text as hexadecimal. */
export function shownValue(column: Column, value: Value): string {
  const isText = column.dataType === 'enum' || column.dataType === 'set' || column.charset === null;
  if (value !== null && isText && !BINARY.has(column.dataType))
    return partText({ ...column, charset: 'utf8mb4' }, value);
  return partText(column, value);
}

function cut(expression: Bytes): Bytes {
  return `SUBSTRING(CAST(${expression} AS BINARY),1,${PART_BYTES_MAX + 1})`;
}

function partText(column: Column | undefined, value: Value): string {
  if (value === null) return 'NULL';
  const shown = value.slice(0, PART_BYTES_MAX);
  const more = value.length > PART_BYTES_MAX ? '…' : '';
  const decoder =
    column === undefined || BINARY.has(column.dataType) ? undefined : DECODERS[column.charset ?? 'utf8mb4'];
  return (
    (decoder === undefined ? hexadecimal(shown) : new TextDecoder(decoder).decode(Buffer.from(shown, 'latin1'))) + more
  );
}

function hexadecimal(bytes: Bytes): string {
  return `0x${Buffer.from(bytes, 'latin1').toString('hex').toUpperCase()}`;
}
