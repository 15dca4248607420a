/**
 * Tokens of a statement as a server prints it. Their texts joined are the statement again, to the character: what is
 * not understood is passed on as it is. An executable comment is not one token: `/*!50100` and the closing mark are, so
 * that what is between them is seen (partitions, INVISIBLE, SRID).
 */
export interface Token {
  kind: 'space' | 'word' | 'name' | 'string' | 'mark' | 'comment';
  text: string;
}

const SPACE = /\s+/y;
const WORD = /[\p{L}\p{N}_$@.]+/uy;
const NAME = /`(?:[^`]|``)*`/y;
const STRING = /'(?:[^'\\]|\\[^]|'')*'/y;
const DOUBLE_QUOTED = /"(?:[^"\\]|\\[^]|"")*"/y;
const EXECUTABLE = /\/\*M?![0-9]*/y;
const COMMENT = /\/\*[^]*?\*\/|--\s[^\n]*|#[^\n]*/y;
const CLOSE = /\*\//y;

const KINDS: [Token['kind'], RegExp][] = [
  ['space', SPACE],
  ['word', WORD],
  ['name', NAME],
  ['string', STRING],
  ['string', DOUBLE_QUOTED],
  ['mark', EXECUTABLE],
  ['comment', COMMENT],
  ['mark', CLOSE],
];

export function tokenize(sql: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < sql.length;) {
    let found: Token | undefined;
    for (const [kind, pattern] of KINDS) {
      pattern.lastIndex = at;
      const text = pattern.exec(sql)?.[0];
      if (text !== undefined) {
        found = { kind, text };
        break;
      }
    }
    found ??= { kind: 'mark', text: String.fromCodePoint(sql.codePointAt(at) ?? 0) };
    tokens.push(found);
    at += found.text.length;
  }
  return tokens;
}

export function joined(tokens: readonly Token[]): string {
  return tokens.map(({ text }) => text).join('');
}

/** Without spaces and comments at both ends. */
export function trimmed(tokens: readonly Token[]): Token[] {
  const blank = ({ kind }: Token) => kind === 'space' || kind === 'comment';
  const first = tokens.findIndex((token) => !blank(token));
  return first === -1 ? [] : tokens.slice(first, tokens.findLastIndex((token) => !blank(token)) + 1);
}

/** True for a word, whatever its case; names in backticks are no words. */
export function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === 'word' && token.text.toUpperCase() === word;
}

/** The words from the beginning, upper case, spaces left out, until something else comes. */
export function leadingWords(tokens: readonly Token[]): string[] {
  const words: string[] = [];
  for (const { kind, text } of tokens) {
    if (kind === 'word') words.push(text.toUpperCase());
    else if (kind !== 'space') break;
  }
  return words;
}

/** Index after the parenthesis that closes the one at `open`. */
export function afterParenthesis(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let at = open; at < tokens.length; at += 1) {
    const token = tokens[at];
    if (token?.kind !== 'mark') continue;
    if (token.text === '(') depth += 1;
    if (token.text === ')') depth -= 1;
    if (depth === 0) return at + 1;
  }
  return tokens.length;
}

/** Index of the next token at or after `at` that is no space. */
export function skipSpace(tokens: readonly Token[], at: number): number {
  let next = at;
  while (tokens[next]?.kind === 'space') next += 1;
  return next;
}
