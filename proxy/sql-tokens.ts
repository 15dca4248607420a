/** A piece of a statement that the inspection looks at, and where it stands; strings stay escaped as they were. */
export type SqlToken = { start: number; end: number } &
  /** Upper case in `text`. */
  (
    | { kind: 'word'; text: string; written: string }
    /** With ANSI_QUOTES one in double quotes is a name. */
    | { kind: 'string'; text: string; inDoubleQuotes?: true }
    | { kind: 'quoted-name'; text: string }
    /** `@name`, without the sign. */
    | { kind: 'user-variable'; text: string }
    /** `@@name`, `@@session.name`, lower case, without the signs. */
    | { kind: 'system-variable'; text: string }
    | { kind: 'symbol'; text: string }
  );

function patternOf(escapesByBackslash: boolean): RegExp {
  const inSingle = escapesByBackslash ? String.raw`[^'\\]|\\[\s\S]|''` : `[^']|''`;
  const inDouble = escapesByBackslash ? String.raw`[^"\\]|\\[\s\S]|""` : `[^"]|""`;
  const pieces = [
    String.raw`\s+`,
    String.raw`#[^\n]*`,
    String.raw`--(?=\s|$)[^\n]*`,
    // Contents of versioned comments are code: only their markers are skipped.
    String.raw`/\*M?!\d*`,
    String.raw`/\*[\s\S]*?(?:\*/|$)`,
    String.raw`\*/`,
    String.raw`@@(?<system>[\w$.]+)`,
    String.raw`@\`(?<variable1>(?:[^\`]|\`\`)*)\``,
    String.raw`@'(?<variable2>(?:[^']|'')*)'`,
    String.raw`@"(?<variable3>(?:[^"]|"")*)"`,
    String.raw`@(?<variable4>[\w$.\x80-\xff]+)`,
    `'(?<string1>(?:${inSingle})*)'?`,
    `"(?<string2>(?:${inDouble})*)"?`,
    String.raw`\`(?<name>(?:[^\`]|\`\`)*)\`?`,
    String.raw`(?<word>[\w$\x80-\xff]+)`,
    String.raw`(?<symbol>[\s\S])`,
  ];
  return new RegExp(pieces.join('|'), 'y');
}

const PATTERN = patternOf(true);
const PATTERN_WITHOUT_ESCAPES = patternOf(false);

/**
 * Cuts a statement (as latin1, so that every byte is a character) into tokens, without comments. Good enough to find
 * what keeps a session where it is, and what asks for the statement before; never used to route a statement.
 */
export function* sqlTokens(text: string, escapesByBackslash = true): Generator<SqlToken, void, void> {
  const pattern = new RegExp(escapesByBackslash ? PATTERN : PATTERN_WITHOUT_ESCAPES, 'y');
  while (pattern.lastIndex < text.length) {
    const start = pattern.lastIndex;
    const match = pattern.exec(text);
    if (match === null) return;
    const groups = match.groups ?? {};
    const end = pattern.lastIndex;
    const variable =
      groups['variable1']?.replaceAll('``', '`') ??
      groups['variable2']?.replaceAll(`''`, `'`) ??
      groups['variable3']?.replaceAll('""', '"') ??
      groups['variable4'];
    // As it would stand between single quotes, so that it can be written out again.
    const string = groups['string1'] ?? groups['string2']?.replaceAll('""', '"').replaceAll(`'`, `''`);
    if (groups['word'] !== undefined)
      yield { start, end, kind: 'word', text: groups['word'].toUpperCase(), written: groups['word'] };
    else if (groups['symbol'] !== undefined) yield { start, end, kind: 'symbol', text: groups['symbol'] };
    else if (variable !== undefined) yield { start, end, kind: 'user-variable', text: variable };
    else if (groups['system'] !== undefined)
      yield { start, end, kind: 'system-variable', text: groups['system'].toLowerCase() };
    else if (groups['name'] !== undefined)
      yield { start, end, kind: 'quoted-name', text: groups['name'].replaceAll('``', '`') };
    else if (groups['string2'] !== undefined && string !== undefined)
      yield { start, end, kind: 'string', text: string, inDoubleQuotes: true };
    else if (string !== undefined) yield { start, end, kind: 'string', text: string };
  }
}

/** The tokens of each statement of a text; the semicolons between them are left out. */
export function sqlStatements(text: string, escapesByBackslash = true): SqlToken[][] {
  const statements: SqlToken[][] = [];
  let current: SqlToken[] = [];
  for (const token of sqlTokens(text, escapesByBackslash)) {
    if (token.kind === 'symbol' && token.text === ';') {
      if (current.length > 0) statements.push(current);
      current = [];
    } else {
      current.push(token);
    }
  }
  if (current.length > 0) statements.push(current);
  return statements;
}
