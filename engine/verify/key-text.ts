import type { Column } from '../schema/table.ts';
import type { Bytes, Value } from '../server/connection.ts';

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

function partText(column: Column | undefined, value: Value): string {
  if (value === null) return 'NULL';
  const cut = value.slice(0, PART_BYTES_MAX);
  const more = value.length > PART_BYTES_MAX ? '…' : '';
  const decoder =
    column === undefined || BINARY.has(column.dataType) ? undefined : DECODERS[column.charset ?? 'utf8mb4'];
  return (
    (decoder === undefined ? hexadecimal(cut) : new TextDecoder(decoder).decode(Buffer.from(cut, 'latin1'))) + more
  );
}

function hexadecimal(bytes: Bytes): string {
  return `0x${Buffer.from(bytes, 'latin1').toString('hex').toUpperCase()}`;
}
