import type { SeededRandom } from './seeded-random.ts';

export type Family = 'mysql' | 'mariadb';

/** A column type with the SQL literals that it is filled with. Values that a server refuses only fail their statement. */
export interface ColumnKind {
  type: string;
  value: (random: SeededRandom) => string;
  /** May be part of a key. */
  keyable: boolean;
  /** `+ 1` makes another value of it. */
  counts: boolean;
  /** Characters, or null. */
  characters: number | null;
}

/** Few different values, so that statements meet each other's rows. */
const KEY_SPACE = 120;

export function randomKind(random: SeededRandom, family: Family): ColumnKind {
  const make = random.weighted<(random: SeededRandom, family: Family) => ColumnKind>([
    [4, integer],
    [2, decimal],
    [1, approximate],
    [3, temporal],
    [6, text],
    [2, bytes],
    [1, bit],
    [2, member],
    [1, longValue],
    [1, document],
    [1, ofFamily],
  ]);
  return make(random, family);
}

export function randomKeyKind(random: SeededRandom, family: Family): ColumnKind {
  for (;;) {
    const kind = randomKind(random, family);
    if (kind.keyable) return kind;
  }
}

function integer(random: SeededRandom): ColumnKind {
  const [name, bits] = random.pick([
    ['TINYINT', 8],
    ['SMALLINT', 16],
    ['MEDIUMINT', 24],
    ['INT', 32],
    ['BIGINT', 64],
  ] as const);
  const unsigned = random.chance(0.4);
  const top = 2n ** BigInt(unsigned ? bits : bits - 1) - 1n;
  const bottom = unsigned ? 0n : -(2n ** BigInt(bits - 1));
  return {
    type: `${name}${unsigned ? ` UNSIGNED${random.chance(0.1) ? ' ZEROFILL' : ''}` : ''}`,
    value: (random) =>
      random.chance(0.03) ? String(random.pick([top, bottom, top - 1n])) : String(random.int(0, KEY_SPACE)),
    keyable: true,
    counts: true,
    characters: null,
  };
}

function decimal(random: SeededRandom): ColumnKind {
  const digits = random.pick([4, 9, 10, 20, 38, 65]);
  const scale = Math.min(30, random.int(0, digits - 3));
  return {
    type: `DECIMAL(${digits},${scale})`,
    value: (random) => {
      if (random.chance(0.05))
        return `${random.pick(['', '-'])}${'9'.repeat(digits - scale)}${scale > 0 ? `.${'9'.repeat(scale)}` : ''}`;
      return `${random.pick(['', '', '-'])}${random.int(0, 20)}.${random.int(0, 3)}`;
    },
    keyable: true,
    counts: true,
    characters: null,
  };
}

function approximate(random: SeededRandom, family: Family): ColumnKind {
  return {
    type: random.pick(['FLOAT', 'DOUBLE', 'DOUBLE']),
    value: (random) =>
      random.pick([
        '0.1e0',
        '1.5e0',
        '-2.25e0',
        '3.3333333e0',
        '1e10',
        '1.0000001e-7',
        '16777217e0',
        '0e0',
        // MariaDB shows 0 for it (limits.md).
        ...(family === 'mysql' ? ['-0e0'] : []),
        '3.4e38',
        '-1.5e308',
        '2.5e-308',
        '123456789.123456789e0',
        String(random.int(0, 50)),
      ]),
    keyable: true,
    counts: false,
    characters: null,
  };
}

function temporal(random: SeededRandom): ColumnKind {
  const digits = random.pick([0, 0, 1, 3, 6]);
  const fraction = (random: SeededRandom) =>
    digits === 0
      ? ''
      : `.${String(random.int(0, 2) * 5)
          .padEnd(digits, '0')
          .slice(0, digits)}`;
  const precision = digits === 0 ? '' : `(${digits})`;
  const two = (value: number) => String(value).padStart(2, '0');
  const day = (random: SeededRandom) => `2024-0${random.int(1, 3)}-${two(random.int(1, 28))}`;
  const time = (random: SeededRandom) => `${two(random.int(0, 3))}:${two(random.int(0, 2))}:00`;
  const base = { keyable: true, counts: false, characters: null };
  return random.pick<ColumnKind>([
    {
      ...base,
      type: 'DATE',
      value: (random) =>
        `'${random.chance(0.05) ? random.pick(['0000-00-00', '2024-02-31', '2024-00-10', '9999-12-31']) : day(random)}'`,
    },
    { ...base, type: 'YEAR', value: (random) => `'${random.chance(0.1) ? '0000' : random.int(1990, 2030)}'` },
    {
      ...base,
      type: `DATETIME${precision}`,
      value: (random) =>
        random.chance(0.05) ? `'0000-00-00 00:00:00'` : `'${day(random)} ${time(random)}${fraction(random)}'`,
    },
    {
      ...base,
      type: `TIMESTAMP${precision}`,
      // Also the two hours that a summer-time zone has twice, and the one that it lacks.
      value: (random) =>
        random.chance(0.1)
          ? `'${random.pick(['2024-10-27 02:30:00', '2024-03-31 02:30:00', '1970-01-01 12:00:01', '2037-01-19 03:14:07'])}'`
          : `'${day(random)} ${time(random)}${fraction(random)}'`,
    },
    {
      ...base,
      type: `TIME${precision}`,
      value: (random) =>
        `'${random.pick(['', '-'])}${random.chance(0.1) ? '838:59:59' : `${random.int(0, 40)}:0${random.int(0, 3)}:00${fraction(random)}`}'`,
    },
  ]);
}

const LETTERS = ['a', 'A', 'b', 'B', 'c', 'z', ' ', '0', '_', 's'];
const WIDE = ['ä', 'Ä', 'á', 'ß', 'é', 'e\u0301', 'Ω', 'ω', '中', '\u00a0', 'ﬁ'];
const ODD = ['\n', '\t', '\0', "'", '\\', '%', '"', '`', '\x1a', '\x7f'];

interface Charset {
  name: string;
  collations: string[];
  letters: string[];
}

/** Collations that both servers know by the same rules: others are translated, which changes what is equal (limits.md). */
const CHARSETS: Charset[] = [
  {
    name: 'utf8mb4',
    collations: [
      'utf8mb4_general_ci',
      'utf8mb4_general_ci',
      'utf8mb4_unicode_ci',
      'utf8mb4_unicode_520_ci',
      'utf8mb4_bin',
      'utf8mb4_czech_ci',
      'utf8mb4_spanish2_ci',
      'utf8mb4_german2_ci',
      'utf8mb4_turkish_ci',
    ],
    letters: [...WIDE, '😀', '😁', 'ch', 'll', 'æ', 'ı'],
  },
  { name: 'utf8mb3', collations: ['utf8mb3_general_ci', 'utf8mb3_unicode_ci', 'utf8mb3_bin'], letters: WIDE },
  {
    name: 'latin1',
    collations: [
      'latin1_swedish_ci',
      'latin1_german1_ci',
      'latin1_german2_ci',
      'latin1_danish_ci',
      'latin1_spanish_ci',
      'latin1_general_cs',
      'latin1_bin',
    ],
    letters: ['ä', 'Ä', 'á', 'ß', 'é', 'ÿ', '€'],
  },
  { name: 'ascii', collations: ['ascii_general_ci', 'ascii_bin'], letters: ['~'] },
  { name: 'utf16', collations: ['utf16_general_ci', 'utf16_unicode_ci', 'utf16_bin'], letters: [...WIDE, '😀'] },
  { name: 'utf32', collations: ['utf32_general_ci', 'utf32_bin'], letters: [...WIDE, '😀'] },
  { name: 'ucs2', collations: ['ucs2_general_ci', 'ucs2_bin'], letters: WIDE },
  { name: 'gbk', collations: ['gbk_chinese_ci', 'gbk_bin'], letters: ['中', '文', '丂', '誠', 'Ω'] },
  { name: 'sjis', collations: ['sjis_japanese_ci', 'sjis_bin'], letters: ['表', 'ア', 'ｱ', '十', 'Ω'] },
  { name: 'utf16le', collations: ['utf16le_general_ci', 'utf16le_bin'], letters: [...WIDE, '😀'] },
  { name: 'big5', collations: ['big5_chinese_ci', 'big5_bin'], letters: ['中', '文', '功', '許', 'Ω'] },
  { name: 'cp932', collations: ['cp932_japanese_ci', 'cp932_bin'], letters: ['表', 'ア', 'ｱ', '①', '～'] },
  { name: 'eucjpms', collations: ['eucjpms_japanese_ci', 'eucjpms_bin'], letters: ['表', 'ア', 'ｱ', '①'] },
  { name: 'euckr', collations: ['euckr_korean_ci', 'euckr_bin'], letters: ['한', '글', 'Ω'] },
  { name: 'cp1251', collations: ['cp1251_general_ci', 'cp1251_ukrainian_ci', 'cp1251_bin'], letters: ['я', 'Я', 'ґ'] },
  { name: 'koi8r', collations: ['koi8r_general_ci', 'koi8r_bin'], letters: ['я', 'Я', 'ё'] },
  {
    name: 'latin2',
    collations: ['latin2_general_ci', 'latin2_czech_cs', 'latin2_bin'],
    letters: ['ch', 'č', 'Č', 'ß'],
  },
  { name: 'cp1250', collations: ['cp1250_general_ci', 'cp1250_czech_cs'], letters: ['ch', 'č', 'Č', '€'] },
  { name: 'tis620', collations: ['tis620_thai_ci', 'tis620_bin'], letters: ['ก', 'เ', 'ไ', '็'] },
];
const MYSQL_UTF8MB4 = [
  'utf8mb4_0900_ai_ci',
  'utf8mb4_0900_as_cs',
  'utf8mb4_0900_bin',
  'utf8mb4_ja_0900_as_cs',
  'utf8mb4_de_pb_0900_ai_ci',
];

function text(random: SeededRandom, family: Family): ColumnKind {
  const charset = random.chance(0.4) ? (CHARSETS[0] ?? random.pick(CHARSETS)) : random.pick(CHARSETS);
  const collations =
    family === 'mysql' && charset.name === 'utf8mb4' ? [...charset.collations, ...MYSQL_UTF8MB4] : charset.collations;
  const characters = random.int(2, 12);
  return {
    type: `${random.pick(['CHAR', 'VARCHAR', 'VARCHAR'])}(${characters}) CHARACTER SET ${charset.name} COLLATE ${random.pick(collations)}`,
    value: (random) =>
      textLiteral(random.times(random.int(0, Math.min(3, characters)), () => letter(random, charset)).join('')),
    keyable: true,
    counts: false,
    characters,
  };
}

function letter(random: SeededRandom, charset: Charset): string {
  return random.pick(random.chance(0.07) ? ODD : random.chance(0.3) ? charset.letters : LETTERS);
}

function textLiteral(value: string): string {
  return value === '' ? `''` : `_utf8mb4 X'${Buffer.from(value).toString('hex')}'`;
}

function bytes(random: SeededRandom): ColumnKind {
  const length = random.int(1, 8);
  return {
    type: `${random.pick(['BINARY', 'VARBINARY'])}(${length})`,
    value: (random) =>
      `X'${random.times(random.int(0, Math.min(3, length)), () => random.pick(['00', '20', '61', '41', 'ff', '5c', '27', '0a'])).join('')}'`,
    keyable: true,
    counts: false,
    characters: length,
  };
}

function bit(random: SeededRandom): ColumnKind {
  const bits = random.pick([1, 7, 8, 9, 33, 64]);
  return {
    type: `BIT(${bits})`,
    value: (random) => `b'${random.times(random.int(1, Math.min(bits, 8)), () => random.pick(['0', '1'])).join('')}'`,
    keyable: true,
    counts: false,
    characters: null,
  };
}

/** What one family alone has, or has otherwise. */
function ofFamily(random: SeededRandom, family: Family): ColumnKind {
  const base = { keyable: true, counts: false, characters: null };
  // As MariaDB spells them: on a MySQL target they are text (limits.md).
  const number = (random: SeededRandom) => (random.int(0, KEY_SPACE) + 16).toString(16);
  const vector = () => ({
    ...base,
    keyable: false,
    type: 'VECTOR(3)',
    value: (random: SeededRandom) => `STRING_TO_VECTOR('[${random.int(0, 3)}, -1.5, 3e10]')`,
  });
  if (family === 'mysql') return vector();
  return random.pick<ColumnKind>([
    {
      ...base,
      type: 'UUID',
      value: (random) =>
        `'${random.pick(['7c9e6679-7425-40de-944b-e07fc1f90a', '00000000-0000-1000-8000-0000000000'])}${number(random)}'`,
    },
    { ...base, type: 'INET6', value: (random) => `'${random.pick(['2001:db8::', 'fe80::1:'])}${number(random)}'` },
    { ...base, type: 'INET4', value: (random) => `'192.0.2.${random.int(0, KEY_SPACE)}'` },
    {
      ...base,
      keyable: false,
      type: `${random.pick(['VARCHAR(40)', 'TEXT'])} COMPRESSED CHARACTER SET utf8mb4`,
      value: (random) => textLiteral(random.pick(['', 'lorem ipsum', 'ä'.repeat(30), ' x '])),
    },
  ]);
}

const MEMBERS = ['a', 'b', 'c,d', "e''f", '0', '1', '2', 'ä', ''];

/** Values as numbers: index 0 of an ENUM passes where the session is not strict. */
function member(random: SeededRandom): ColumnKind {
  const isSet = random.chance(0.5);
  const many = random.times(isSet ? 64 : 300, (i) => `m${i}`);
  const members = random.chance(0.1)
    ? many
    : random.sample(isSet ? MEMBERS.filter((name) => !name.includes(',') && name !== '') : MEMBERS, random.int(2, 6));
  const top = isSet ? 2 ** Math.min(members.length, 50) - 1 : members.length;
  return {
    type: `${isSet ? 'SET' : 'ENUM'}(${members.map((name) => `'${name}'`).join(',')}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
    value: (random) => String(random.int(isSet || random.chance(0.05) ? 0 : 1, top)),
    keyable: true,
    counts: false,
    characters: null,
  };
}

function longValue(random: SeededRandom): ColumnKind {
  const type = random.pick(['TINYTEXT', 'TEXT', 'MEDIUMTEXT', 'LONGTEXT', 'TINYBLOB', 'BLOB', 'LONGBLOB']);
  const isText = type.endsWith('TEXT');
  return {
    type: isText ? `${type} CHARACTER SET ${random.pick(['utf8mb4', 'latin1', 'gbk', 'utf16'])}` : type,
    value: (random) => {
      const unit = isText
        ? textLiteral(random.pick(['x', 'lorem ', '\\', "'", '\n', 'Ω']))
        : `X'${random.pick(['00', '1c1d1e', 'ff5c27', '0a'])}'`;
      return `REPEAT(${unit}, ${random.weighted([
        [8, 3],
        [2, 50],
        [1, type.startsWith('TINY') ? 40 : 3000],
        [0.2, /^TINY|^TEXT|^BLOB/.test(type) ? 40 : 60_000],
      ] as const)})`;
    },
    keyable: false,
    counts: false,
    characters: null,
  };
}

const DOCUMENTS = [
  '{}',
  '[]',
  'null',
  'true',
  '"text"',
  '{"a": 1, "b": [1.5, -3, 1e100], "c": {"d": "\\u00e4\\n\\""}}',
  '[18446744073709551615, -9223372036854775808, 0.1]',
  '{"__proto__": "x", "": [], "long": [[[[[[]]]]]]}',
];

function document(random: SeededRandom, family: Family): ColumnKind {
  if (random.chance(0.3)) {
    return {
      type: 'GEOMETRY',
      value: (random) =>
        `ST_GeomFromText('${random.pick(['POINT(1 2)', 'LINESTRING(0 0, 1 1, 2 5)', 'POINT(-1.5 3e10)'])}', ${random.pick([0, 3857])})`,
      keyable: false,
      counts: false,
      characters: null,
    };
  }
  return {
    type: 'JSON',
    value: (random) => {
      // Of types that JSON's text has not.
      if (family === 'mysql' && random.chance(0.2)) {
        return `JSON_OBJECT('d', CAST('2024-01-02 03:04:05.6' AS DATETIME(3)), 't', CAST('-12:00:00.5' AS TIME(1)), 'n', ${random.int(0, 9)}.50, 'b', X'00FF', 'y', CAST('2024-05-06' AS DATE))`;
      }
      const text = random.chance(0.1)
        ? `{"n": ${random.int(0, 1000)}, "s": "${'x'.repeat(random.pick([10, 3000]))}"}`
        : random.pick(DOCUMENTS);
      return textLiteral(text);
    },
    keyable: false,
    counts: false,
    characters: null,
  };
}
