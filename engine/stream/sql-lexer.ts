/** A word may be a keyword or a bare name; a `name` was quoted; a string may be a name under ANSI_QUOTES. */
export interface SqlToken {
  kind: 'word' | 'name' | 'string' | 'punctuation';
  text: string;
  /** Where it stands in the statement, quotes included. */
  start: number;
  end: number;
}

const SPACE = /\s/;
const WORD = /[0-9A-Za-z_$\u0080-\uffff]/;

/**
 * The tokens of a logged statement, lazily: only the head of most statements matters. Comments are dropped, but the
 * content of version comments (`/*!50100 …`, MariaDB's `/*M!…`) is code, as the servers that write them treat it.
 */
export function* sqlTokens(
  sql: string,
  { backslashEscapes = true }: { backslashEscapes?: boolean } = {},
): Generator<SqlToken, undefined> {
  let at = 0;
  let versionComments = 0;
  while (at < sql.length) {
    const character = sql[at] ?? '';
    const next = sql[at + 1] ?? '';
    if (SPACE.test(character)) {
      at += 1;
    } else if (
      character === '#' ||
      (character === '-' && next === '-' && (sql[at + 2] === undefined || SPACE.test(sql[at + 2] ?? '')))
    ) {
      const end = sql.indexOf('\n', at);
      at = end < 0 ? sql.length : end + 1;
    } else if (character === '/' && next === '*') {
      const version = /^\/\*M?!\d*/.exec(sql.slice(at, at + 12));
      if (version !== null) {
        versionComments += 1;
        at += version[0].length;
      } else {
        const end = sql.indexOf('*/', at + 2);
        at = end < 0 ? sql.length : end + 2;
      }
    } else if (versionComments > 0 && character === '*' && next === '/') {
      versionComments -= 1;
      at += 2;
    } else if (character === '`' || character === "'" || character === '"') {
      const escapes = backslashEscapes && character !== '`';
      const { text, end } = quoted(sql, { start: at, quote: character, escapes });
      yield { kind: character === '`' ? 'name' : 'string', text, start: at, end };
      at = end;
    } else if (WORD.test(character)) {
      let end = at + 1;
      while (end < sql.length && WORD.test(sql[end] ?? '')) end += 1;
      yield { kind: 'word', text: sql.slice(at, end), start: at, end };
      at = end;
    } else {
      yield { kind: 'punctuation', text: character, start: at, end: at + 1 };
      at += 1;
    }
  }
  return undefined;
}

/** Doubled quotes stand for one; backslashes escape in strings alone, and not under NO_BACKSLASH_ESCAPES. */
function quoted(
  sql: string,
  { start, quote, escapes }: { start: number; quote: string; escapes: boolean },
): { text: string; end: number } {
  let text = '';
  for (let at = start + 1; at < sql.length; at += 1) {
    const character = sql[at] ?? '';
    if (escapes && character === '\\') {
      text += sql[at + 1] ?? '';
      at += 1;
    } else if (character !== quote) {
      text += character;
    } else if (sql[at + 1] === quote) {
      text += quote;
      at += 1;
    } else {
      return { text, end: at + 1 };
    }
  }
  return { text, end: sql.length };
}
