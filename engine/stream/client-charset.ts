/**
 * Charsets by the numbers of their collations, below 1024 (information_schema.COLLATIONS of MySQL 9.7 and MariaDB 11.8), as
 * `number charset` or `first-last charset`. A statement is logged in the charset of its client, as one of these numbers.
 */
const CHARSETS =
  '1 big5,2 latin2,3 dec8,4 cp850,5 latin1,6 hp8,7 koi8r,8 latin1,9 latin2,10 swe7,11 ascii,12 ujis,13 sjis,14 cp1251,' +
  '15 latin1,16 hebrew,18 tis620,19 euckr,20 latin7,21 latin2,22 koi8u,23 cp1251,24 gb2312,25 greek,26 cp1250,27 latin2,' +
  '28 gbk,29 cp1257,30 latin5,31 latin1,32 armscii8,33 utf8mb3,34 cp1250,36 cp866,37 keybcs2,38 macce,39 macroman,' +
  '40 cp852,41-42 latin7,43 macce,44 cp1250,45-46 utf8mb4,47-49 latin1,50-52 cp1251,53 macroman,57 cp1256,58-59 cp1257,' +
  '63 binary,64 armscii8,65 ascii,66 cp1250,67 cp1256,68 cp866,69 dec8,70 greek,71 hebrew,72 hp8,73 keybcs2,74 koi8r,' +
  '75 koi8u,76 utf8mb3,77 latin2,78 latin5,79 latin7,80 cp850,81 cp852,82 swe7,83 utf8mb3,84 big5,85 euckr,86 gb2312,' +
  '87 gbk,88 sjis,89 tis620,91 ujis,92-93 geostd8,94 latin1,95-96 cp932,97-98 eucjpms,99 cp1250,192-215 utf8mb3,' +
  '223 utf8mb3,224-247 utf8mb4,248-250 gb18030,255-323 utf8mb4,576-579 utf8mb3,608-611 utf8mb4';

const BY_NUMBER = new Map(
  CHARSETS.split(',').flatMap((entry) => {
    const [numbers = '', charset = ''] = entry.split(' ');
    const [first = 0, last = first] = numbers.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => [first + i, charset] as const);
  }),
);

/** MariaDB: bit 1024 is NO PAD; from 2048 on the collations of UCA 14, 256 for each charset. */
const MARIADB_NOPAD = 1024;
const MARIADB_UCA1400 = 2048;

/** Undefined: not known, or none that a client can have. */
export function charsetOfCollation(number: number): string | undefined {
  if (number >= MARIADB_UCA1400) return ['utf8mb3', 'utf8mb4'][(number - MARIADB_UCA1400) >> 8];
  return BY_NUMBER.get(number >= MARIADB_NOPAD ? number - MARIADB_NOPAD : number);
}

/** Labels of https://encoding.spec.whatwg.org. Left out: charsets for which there is none. */
const DECODERS: Readonly<Record<string, string>> = {
  latin1: 'windows-1252',
  latin2: 'iso-8859-2',
  latin5: 'iso-8859-9',
  latin7: 'iso-8859-13',
  greek: 'iso-8859-7',
  hebrew: 'iso-8859-8',
  tis620: 'windows-874',
  koi8r: 'koi8-r',
  koi8u: 'koi8-u',
  cp866: 'ibm866',
  cp1250: 'windows-1250',
  cp1251: 'windows-1251',
  cp1256: 'windows-1256',
  cp1257: 'windows-1257',
  macroman: 'macintosh',
  big5: 'big5',
  gb2312: 'gbk',
  gbk: 'gbk',
  gb18030: 'gb18030',
  sjis: 'shift_jis',
  cp932: 'shift_jis',
  ujis: 'euc-jp',
  eucjpms: 'euc-jp',
  euckr: 'euc-kr',
};
/** Identifiers of a binary client are UTF-8. */
const UTF8 = new Set(['utf8mb3', 'utf8mb4', 'ascii', 'binary']);
const UNREADABLE = /[\u0080-\u00ff]/g;

/** What cannot be decoded becomes U+FFFD, which `statementEffect` takes for any name. */
export function decodeStatement(bytes: Buffer, collation: number | null): string {
  const charset = collation === null ? 'utf8mb4' : charsetOfCollation(collation);
  if (charset !== undefined && UTF8.has(charset)) return bytes.toString('utf8');
  const label = charset === undefined ? undefined : DECODERS[charset];
  if (label === undefined) return bytes.toString('latin1').replaceAll(UNREADABLE, '\uFFFD');
  return new TextDecoder(label).decode(bytes);
}
