import { TYPES } from '../schema/translate-ddl.ts';
import type { Bytes } from '../server/connection.ts';
import { sqlTokens, type SqlToken } from '../stream/sql-lexer.ts';

/**
 * What MariaDB calls JSON is text, kept as it was written; MySQL's type of that name keeps the document, and gives other text back: the
 * order of members, escapes, numbers, a name that occurs twice.
 */
const JSON_AS_TEXT = 'LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin';

/** Behind these a word is a name, or part of an expression. */
const BEFORE_NAMES = new Set(
  (
    'TABLE INDEX KEY UNIQUE FULLTEXT SPATIAL COLUMN ADD DROP MODIFY CHANGE ALTER RENAME AFTER TO ON BY EXISTS REFERENCES CONSTRAINT ' +
    'LIKE PARTITION DEFAULT AS SELECT FROM WHERE AND OR NOT IN DIV MOD WHEN THEN ELSE'
  ).split(' '),
);

/** A DDL statement of MariaDB with the types that MySQL lacks, or means otherwise, as the copy translates them. */
export function typesForMysql(sql: Bytes, options: { backslashEscapes: boolean }): Bytes {
  const tokens = [...sqlTokens(sql, options)];
  let translated = '';
  let from = 0;
  for (const [at, token] of tokens.entries()) {
    const type = token.text.toUpperCase();
    const replacement = type === 'JSON' ? JSON_AS_TEXT : Object.hasOwn(TYPES, type) ? TYPES[type] : undefined;
    if (token.kind !== 'word' || replacement === undefined || !isType(tokens, at)) continue;
    const column = tokens[at - 1];
    const name = column === undefined ? '' : sql.slice(column.start, column.end);
    const check = type === 'JSON' && !isGenerated(tokens[at + 1]) ? ` CHECK (JSON_VALID(${name}))` : '';
    translated += `${sql.slice(from, token.start)}${replacement}${check}`;
    from = token.end;
  }
  return `${translated}${sql.slice(from)}`;
}

/** Behind the name of a column that is defined. A wrong answer makes a statement that the destination refuses. */
function isType(tokens: readonly SqlToken[], at: number): boolean {
  const before = tokens[at - 1];
  if (before === undefined || before.kind === 'punctuation' || tokens[at + 1]?.text === '(') return false;
  if (before.kind === 'word' && BEFORE_NAMES.has(before.text.toUpperCase())) return false;
  // `CHANGE old new type`
  const words = tokens.slice(Math.max(0, at - 5), at - 1).map(({ text }) => text.toUpperCase());
  return !/\bCHANGE( COLUMN)?( IF EXISTS)?$/.test(words.join(' '));
}

function isGenerated(next: SqlToken | undefined): boolean {
  return next?.kind === 'word' && ['GENERATED', 'AS'].includes(next.text.toUpperCase());
}
