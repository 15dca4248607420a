import { isSymbol, writtenName, type TableName } from './sql-pieces.ts';
import { sqlStatements, type SqlToken } from './sql-tokens.ts';

/** Functions of the server may be called by their names in quotes. */
export function functionName(tokens: SqlToken[], index: number): string {
  const token = tokens[index];
  if (token?.kind === 'word') return token.text;
  return isQuotedName(token) && isCalled(tokens, index) ? token.text.toUpperCase() : '';
}

/** Only of those that no server has as its own, as far as texts commonly say them; the server knows about the others. */
export function calledNames(tokens: SqlToken[]): TableName[] {
  return tokens.flatMap((token, index): TableName[] => {
    if (!isCalled(tokens, index) || (token.kind !== 'word' && !isQuotedName(token))) return [];
    // INSERT INTO t (a).
    if (isInto(tokens[index - 1]) || isInto(tokens[index - 3])) return [];
    const [schema, dot] = [tokens[index - 2], tokens[index - 1]];
    if (schema !== undefined && dot !== undefined && isSymbol(dot, '.'))
      return [{ schema: writtenName(schema), name: writtenName(token) }];
    return token.kind === 'word' && NOT_STORED.has(token.text) ? [] : [{ schema: null, name: writtenName(token) }];
  });
}

/**
 * The names that a statement calls, where it calls nothing else: no procedure, and no trigger. Null: it may.
 */
export function callsNoMoreThan(sql: string, escapesByBackslash: boolean): TableName[] | null {
  const statements = sqlStatements(sql, escapesByBackslash);
  const isRead = statements.every(([first]) => first?.kind === 'word' && READS.has(first.text));
  return isRead ? statements.flatMap(calledNames) : null;
}

const READS: ReadonlySet<string> = new Set(['SELECT', 'SHOW', 'DO', 'SET']);

/** With ANSI_QUOTES one in double quotes is a name; without it, nothing that could be called. */
function isQuotedName(token: SqlToken | undefined): token is SqlToken {
  return token?.kind === 'quoted-name' || (token?.kind === 'string' && token.inDoubleQuotes === true);
}

function isInto(token: SqlToken | undefined): boolean {
  return token?.kind === 'word' && token.text === 'INTO';
}

function isCalled(tokens: SqlToken[], index: number): boolean {
  const next = tokens[index + 1];
  return next !== undefined && isSymbol(next, '(');
}

const NOT_STORED: ReadonlySet<string> = new Set(
  `AND OR NOT IN AS ON BY SELECT FROM VALUES VALUE IF IFNULL NULLIF COALESCE CONCAT CONCAT_WS REPLACE CAST CONVERT COUNT MAX MIN SUM AVG
  NOW UNIX_TIMESTAMP LAST_INSERT_ID ROW_COUNT FOUND_ROWS DATABASE VERSION CONNECTION_ID GET_LOCK RELEASE_LOCK RELEASE_ALL_LOCKS INT
  VARCHAR CHAR DECIMAL TABLE KEY UUID RAND LENGTH LOWER UPPER TRIM SUBSTRING HEX UNHEX ABS REPEAT JSON_OBJECT JSON_EXTRACT
  WHERE HAVING USING LIMIT BETWEEN LIKE CASE WHEN THEN ELSE EXISTS ANY ALL SOME INTERVAL UNION DISTINCT XOR DIV MOD SET OVER WITH RETURNING`.split(
    /\s+/,
  ),
);
