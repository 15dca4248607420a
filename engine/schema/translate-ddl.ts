import { translateCollation } from '../../core/collation.ts';
import { afterParenthesis, isWord, skipSpace, type Token } from './ddl-lexer.ts';

/** What a translation changed, for people to see. */
export interface DdlNote {
  kind: 'engine' | 'collation' | 'type' | 'option' | 'index' | 'unsupported';
  subject: string;
  text: string;
}

export interface Translation {
  /** Collations of the target. */
  collations: ReadonlySet<string>;
  note: (note: DdlNote) => void;
}

/** MariaDB's types that MySQL lacks, as text of the same values. */
export const TYPES: Readonly<Record<string, string>> = {
  UUID: 'char(36) CHARACTER SET ascii COLLATE ascii_bin',
  INET6: 'varchar(39) CHARACTER SET ascii COLLATE ascii_bin',
  INET4: 'varchar(15) CHARACTER SET ascii COLLATE ascii_bin',
};
const TEXT_TYPES = new Set([
  'TINYTEXT',
  'TEXT',
  'MEDIUMTEXT',
  'LONGTEXT',
  'TINYBLOB',
  'BLOB',
  'MEDIUMBLOB',
  'LONGBLOB',
  'JSON',
  'GEOMETRY',
]);
const DEFAULT_WORDS = new Set([
  'NULL',
  'TRUE',
  'FALSE',
  'CURRENT_TIMESTAMP',
  'NOW',
  'LOCALTIME',
  'LOCALTIMESTAMP',
  'B',
  'X',
]);

/** A column's definition as MySQL takes it; from MySQL it comes through unchanged but for its collation. */
export function translateColumn(tokens: Token[], subject: string, context: Translation): Token[] {
  const output: Token[] = [];
  const type = (tokens[skipSpace(tokens, 1)]?.text ?? '').toUpperCase();
  const replacement = TYPES[type];
  if (
    tokens.some(
      (token, at) =>
        isWord(token, 'NEXTVAL') ||
        (isWord(token, 'ROW') && /^(START|END)$/i.test(tokens[skipSpace(tokens, at + 1)]?.text ?? '')),
    )
  ) {
    context.note({
      kind: 'unsupported',
      subject,
      text: 'sequences and system versioning have no counterpart in MySQL',
    });
  }
  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at];
    if (token === undefined) break;
    if (replacement !== undefined && isWord(token, type) && output.every(({ kind }) => kind !== 'word')) {
      context.note({ kind: 'type', subject, text: `${type} becomes ${replacement}` });
      output.push({ kind: 'word', text: replacement });
    } else if (isWord(token, 'COLLATE')) {
      at = translateCollate(tokens, at, output, subject, context);
    } else if (isWord(token, 'DEFAULT')) {
      at = translateDefault(tokens, at, output, TEXT_TYPES.has(type));
    } else if (isWord(token, 'REF_SYSTEM_ID')) {
      // `REF_SYSTEM_ID = 0`: MariaDB's SRID says nothing that MySQL would hold the values to.
      at = skipSpace(tokens, skipSpace(tokens, at + 1) + 1);
    } else if (isWord(token, 'WITHOUT') && isWord(tokens[skipSpace(tokens, at + 1)], 'SYSTEM')) {
      at = skipSpace(tokens, skipSpace(tokens, at + 1) + 1);
    } else if (token.kind === 'mark' && /^\/\*M?!1\d{5}$/.test(token.text)) {
      // Meant for MariaDB 10 and later only (COMPRESSED).
      while (at < tokens.length && tokens[at]?.text !== '*/') at += 1;
    } else output.push(token);
  }
  return output;
}

/** MariaDB names one `CONSTRAINT_1` in every table; MySQL has such a name once in a database, and names others itself. */
export function translateCheck(tokens: Token[]): Token[] {
  const name = tokens.findIndex(({ kind }) => kind === 'name');
  const isNamed = isWord(tokens[skipSpace(tokens, 0)], 'CONSTRAINT');
  if (!isNamed || !/^`?CONSTRAINT_\d+`?$/.test(tokens[name]?.text ?? '')) return tokens;
  return tokens.slice(skipSpace(tokens, name + 1));
}

/** Index of the last token used. */
function translateCollate(
  tokens: Token[],
  at: number,
  output: Token[],
  subject: string,
  { collations, note }: Translation,
): number {
  let next = skipSpace(tokens, at + 1);
  if (tokens[next]?.text === '=') next = skipSpace(tokens, next + 1);
  const name = tokens[next]?.text ?? '';
  const translated = translateCollation(name.toLowerCase(), collations);
  if (translated === null) note({ kind: 'unsupported', subject, text: `the target has no collation like ${name}` });
  else if (translated !== name.toLowerCase())
    note({ kind: 'collation', subject, text: `${name} becomes ${translated}` });
  output.push(
    { kind: 'word', text: 'COLLATE' },
    { kind: 'space', text: ' ' },
    { kind: 'word', text: translated ?? name },
  );
  return next;
}

/** MySQL wants parentheses around a default that is an expression, and around every default of a TEXT or BLOB. */
function translateDefault(tokens: Token[], at: number, output: Token[], textType: boolean): number {
  output.push({ kind: 'word', text: 'DEFAULT' }, { kind: 'space', text: ' ' });
  const first = skipSpace(tokens, at + 1);
  const token = tokens[first];
  if (token === undefined) return tokens.length;
  const word = token.kind === 'word' ? token.text.toUpperCase() : null;
  const open = skipSpace(tokens, first + 1);
  const isCall = word !== null && !DEFAULT_WORDS.has(word) && tokens[open]?.text === '(' && !/^[0-9.]/.test(word);
  if (isCall) {
    const after = afterParenthesis(tokens, open);
    output.push({ kind: 'mark', text: '(' }, ...tokens.slice(first, after), { kind: 'mark', text: ')' });
    return after - 1;
  }
  if (textType && token.kind === 'string') {
    output.push({ kind: 'mark', text: '(' }, token, { kind: 'mark', text: ')' });
    return first;
  }
  output.push(token);
  return first;
}

const OPTIONS = new Set([
  'AUTO_INCREMENT',
  'AVG_ROW_LENGTH',
  'CHARSET',
  'CHECKSUM',
  'COLLATE',
  'COMMENT',
  'COMPRESSION',
  'DELAY_KEY_WRITE',
  'ENCRYPTION',
  'ENGINE',
  'KEY_BLOCK_SIZE',
  'MAX_ROWS',
  'MIN_ROWS',
  'PACK_KEYS',
  'ROW_FORMAT',
  'STATS_AUTO_RECALC',
  'STATS_PERSISTENT',
  'STATS_SAMPLE_PAGES',
]);
const ROW_FORMATS = new Set(['DYNAMIC', 'COMPACT', 'REDUNDANT', 'COMPRESSED', 'DEFAULT']);

/** `NAME=value` pairs: those that MySQL knows, InnoDB as the engine; the others are noted and left out. */
export function translateOptions(tokens: Token[], subject: string, context: Translation): string {
  const output: string[] = [];
  for (let at = 0; at < tokens.length;) {
    const token = tokens[at];
    const equals = skipSpace(tokens, at + 1);
    if (token === undefined || token.kind === 'space' || tokens[equals]?.text !== '=') {
      if (isWord(token, 'VERSIONING'))
        context.note({ kind: 'unsupported', subject, text: 'system versioning has no counterpart in MySQL' });
      at += 1;
      continue;
    }
    const valueAt = skipSpace(tokens, equals + 1);
    const value = tokens[valueAt]?.text ?? '';
    at = valueAt + 1;
    const name = token.text.replaceAll('`', '').toUpperCase();
    const option = translateOption(name, value, subject, context);
    if (option === null) context.note({ kind: 'option', subject, text: `${name}=${value} is left out` });
    else output.push(option);
  }
  return output.join(' ');
}

function translateOption(name: string, value: string, subject: string, context: Translation): string | null {
  if (!OPTIONS.has(name)) return null;
  if (name === 'ENGINE' && value.toUpperCase() !== 'INNODB') {
    context.note({ kind: 'engine', subject, text: `${value} becomes InnoDB` });
    return 'ENGINE=InnoDB';
  }
  if (name === 'ROW_FORMAT' && !ROW_FORMATS.has(value.toUpperCase())) return null;
  if (name === 'CHARSET') return `DEFAULT CHARSET=${value}`;
  if (name === 'COLLATE') {
    const translated = translateCollation(value.toLowerCase(), context.collations);
    if (translated === null)
      context.note({ kind: 'unsupported', subject, text: `the target has no collation like ${value}` });
    else if (translated !== value.toLowerCase())
      context.note({ kind: 'collation', subject, text: `${value} becomes ${translated}` });
    return `COLLATE=${translated ?? value}`;
  }
  return `${name}=${value}`;
}

/** Each partition names its engine. */
export function translatePartitions(tokens: Token[], subject: string, { note }: Translation): Token[] {
  if (tokens.some((token) => isWord(token, 'SYSTEM_TIME'))) {
    note({ kind: 'unsupported', subject, text: 'partitions by SYSTEM_TIME have no counterpart in MySQL' });
  }
  const output = [...tokens];
  for (const [at, token] of tokens.entries()) {
    if (!isWord(token, 'ENGINE')) continue;
    let value = skipSpace(tokens, at + 1);
    if (tokens[value]?.text === '=') value = skipSpace(tokens, value + 1);
    output[value] = { kind: 'word', text: 'InnoDB' };
  }
  return output;
}

/** MariaDB's IGNORED is MySQL's INVISIBLE. */
export function translateIndex(tokens: Token[]): Token[] {
  return tokens.map((token) => (isWord(token, 'IGNORED') ? { kind: 'word', text: 'INVISIBLE' } : token));
}
