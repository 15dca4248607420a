import type { Edit, Rewritten } from './shown-error.ts';
import { isSymbol } from './sql-pieces.ts';
import { sqlStatements, type SqlToken } from './sql-tokens.ts';
import { narrowed, type Reading } from './statement-reading.ts';

/** One row of SHOW WARNINGS. */
export interface ServerWarning {
  level: string;
  code: string;
  message: Buffer;
}

/** What a server no longer tells of the client's last statement; null: it does. */
export interface Remembered {
  list: readonly ServerWarning[] | null;
  /** As ROW_COUNT() has it: -1 after rows and errors. */
  rowCount: bigint | null;
  foundRows: string | null;
}

/** What a command leaves of what was there before it: SHOW WARNINGS does not end what it shows. */
export interface Kept {
  readonly list: boolean;
  readonly rowCount: boolean;
  readonly foundRows: boolean;
}

export interface DiagnosticsLook {
  /** To be sent in place of the client's text; null: that one. */
  rewritten: Rewritten | null;
  kept: Kept;
}

/** Beyond this many bytes it is not looked for in a text. */
const READ_BYTES_MAX = 1 << 16;

/**
 * Finds what `sql` (as latin1) reads of the statement before it, and says it with what is remembered. A text of several
 * statements is followed up to the first that ends what was there. `listNeedsTables`: on MariaDB only statements that use tables
 * end the list of warnings.
 */
export function lookForReading(
  sql: string,
  reading: Reading,
  { remembered, listNeedsTables }: { remembered: Remembered; listNeedsTables: boolean },
): DiagnosticsLook {
  if (sql.length > READ_BYTES_MAX) return { rewritten: null, kept: { list: false, rowCount: false, foundRows: false } };
  const seen = reading.hasWideCharacters ? narrowed(sql) : sql;
  const left = { ...remembered };
  const kept = { list: true, rowCount: true, foundRows: true };
  const edits: Edit[] = [];
  for (const tokens of sqlStatements(seen, reading.escapesByBackslash)) {
    const kind = kindOfReading(tokens);
    if (kind === 'get') continue;
    edits.push(...(kind === 'statement' ? valueEdits(sql, tokens, left) : shownEdits(tokens, kind, left)));
    left.rowCount = null;
    kept.rowCount = false;
    if (kind !== 'show' && !(kind === 'statement' && keepsFoundRows(tokens))) {
      left.foundRows = null;
      kept.foundRows = false;
    }
    if (kind === 'statement' && !(listNeedsTables && isWithoutTables(tokens))) {
      left.list = null;
      kept.list = false;
    }
  }
  return { rewritten: edits.length === 0 ? null : edited(sql, edits), kept };
}

type Kind = 'statement' | 'show' | 'count' | 'get';

/** Of one statement: SHOW WARNINGS or ERRORS, SHOW COUNT(*) of them, GET DIAGNOSTICS, or none of these. */
export function kindOfReading(tokens: SqlToken[]): Kind {
  const words = tokens.slice(0, 5).map(({ kind, text }) => (kind === 'word' ? text : ''));
  if (words[0] === 'GET' && (words[1] === 'DIAGNOSTICS' || words[2] === 'DIAGNOSTICS')) return 'get';
  if (words[0] !== 'SHOW') return 'statement';
  if (isList(words[1])) return 'show';
  return words[1] === 'COUNT' && tokens.some(({ kind, text }) => kind === 'word' && isList(text))
    ? 'count'
    : 'statement';
}

function isList(word: string | undefined): boolean {
  return word === 'WARNINGS' || word === 'ERRORS';
}

/** SHOW WARNINGS, SHOW COUNT(*) ERRORS as statements that select what is remembered. */
function shownEdits(tokens: SqlToken[], kind: 'show' | 'count', { list }: Remembered): Edit[] {
  const [first, what] = [tokens[0], tokens.find(({ kind: of, text }) => of === 'word' && isList(text))];
  if (list === null || first === undefined || what === undefined) return [];
  const rows = what.text === 'ERRORS' ? errorsOf(list) : list;
  const span = { start: first.start, end: what.end };
  if (kind === 'count')
    return [{ ...span, text: `SELECT ${rows.length} AS \`@@session.${what.text.toLowerCase().slice(0, -1)}_count\`` }];
  // What the client says of a limit stands behind it; sql_select_limit does not count for what is shown.
  const limit = tokens.at(-1) === what ? ` LIMIT ${ALL_ROWS}` : '';
  return [{ ...span, text: listed(rows) + limit }];
}

const ALL_ROWS = '18446744073709551615';

function errorsOf(list: readonly ServerWarning[]): readonly ServerWarning[] {
  return list.filter(({ level }) => level === 'Error');
}

function listed(rows: readonly ServerWarning[]): string {
  if (rows.length === 0) return `SELECT '' AS \`Level\`, 0 AS \`Code\`, '' AS \`Message\` FROM DUAL WHERE FALSE`;
  const selects = rows.map(
    ({ level, code, message }) =>
      `SELECT '${level}' AS \`Level\`, ${code} AS \`Code\`, ${literal(message)} AS \`Message\``,
  );
  return selects.join(' UNION ALL ');
}

/** The message came in the client's character set, which is UTF-8 where it is not ASCII, or else some single-byte one. */
function literal(message: Buffer): string {
  const isUtf8 = Buffer.from(message.toString('utf8')).equals(message);
  return `${isUtf8 ? '_utf8mb4' : '_latin1'} X'${message.toString('hex')}'`;
}

/** ROW_COUNT(), FOUND_ROWS(), @@warning_count and @@error_count, wherever they stand in a statement. */
function valueEdits(sql: string, tokens: SqlToken[], remembered: Remembered): Edit[] {
  const values = tokens.flatMap((token, index) => {
    const value = valueAt(tokens, index, remembered);
    if (value === null) return [];
    const end = tokens[index + (token.kind === 'system-variable' ? 0 : 2)]?.end ?? token.end;
    // The type, and the warnings of what is deprecated, are those of the function itself.
    return [{ start: token.start, end, text: `(${sql.slice(token.start, end)} * 0 + ${value})` }];
  });
  return values.length === 0 ? [] : [...values, ...nameEdits(sql, tokens, values)];
}

function valueAt(tokens: SqlToken[], index: number, { list, rowCount, foundRows }: Remembered): string | null {
  const [token, open, close] = tokens.slice(index, index + 3);
  if (token?.kind === 'system-variable') {
    const name = token.text.replace(/^(?:session|local)\./, '');
    if (list === null || !/^(?:warning|error)_count$/.test(name)) return null;
    return String(name === 'error_count' ? errorsOf(list).length : list.length);
  }
  const isCall = open !== undefined && isSymbol(open, '(') && close !== undefined && isSymbol(close, ')');
  if (!isCall || (token?.kind !== 'word' && token?.kind !== 'quoted-name')) return null;
  const name = token.text.toUpperCase();
  if (name === 'ROW_COUNT') return rowCount === null ? null : String(rowCount);
  return name === 'FOUND_ROWS' ? foundRows : null;
}

/** A column without a name has that of its text, which has to stay. */
function nameEdits(sql: string, tokens: SqlToken[], values: readonly Edit[]): Edit[] {
  return selectedColumns(tokens).flatMap((column) => {
    const [first, last] = [column[0], column.at(-1)];
    if (first === undefined || last === undefined || hasName(column)) return [];
    if (!values.some(({ start }) => start >= first.start && start < last.end)) return [];
    const name = sql.slice(first.start, last.end).replaceAll('`', '``');
    return [{ start: last.end, end: last.end, text: ` AS \`${name}\`` }];
  });
}

function selectedColumns(tokens: SqlToken[]): SqlToken[][] {
  const [verb, ...rest] = tokens;
  if (verb?.kind !== 'word' || verb.text !== 'SELECT') return [];
  const columns: SqlToken[][] = [[]];
  let depth = 0;
  for (const token of rest) {
    if (isSymbol(token, '(')) depth += 1;
    else if (isSymbol(token, ')')) depth -= 1;
    if (depth === 0 && token.kind === 'word' && ENDS_COLUMNS.has(token.text)) break;
    if (depth === 0 && isSymbol(token, ',')) columns.push([]);
    else if (columns.length > 1 || token.kind !== 'word' || !SELECT_OPTIONS.has(token.text))
      columns.at(-1)?.push(token);
  }
  return columns;
}

const ENDS_COLUMNS: ReadonlySet<string> = new Set(
  'FROM INTO WHERE GROUP HAVING ORDER LIMIT PROCEDURE FOR LOCK UNION INTERSECT EXCEPT WINDOW'.split(' '),
);
const SELECT_OPTIONS: ReadonlySet<string> = new Set(
  'ALL DISTINCT DISTINCTROW HIGH_PRIORITY STRAIGHT_JOIN SQL_SMALL_RESULT SQL_BIG_RESULT SQL_BUFFER_RESULT SQL_NO_CACHE SQL_CALC_FOUND_ROWS'.split(
    ' ',
  ),
);

/** `… AS name`, or a name behind what ends an expression. */
function hasName(column: SqlToken[]): boolean {
  const [last, before] = [column.at(-1), column.at(-2)];
  if (last === undefined || before === undefined) return false;
  if (last.kind !== 'quoted-name' && last.kind !== 'string' && last.kind !== 'word') return false;
  if (last.kind === 'word' && NO_NAMES.has(last.text)) return false;
  if (before.kind === 'symbol') return before.text === ')';
  return before.kind !== 'word' || !OPERATORS.has(before.text);
}

const NO_NAMES: ReadonlySet<string> = new Set(['NULL', 'TRUE', 'FALSE', 'END']);
const OPERATORS: ReadonlySet<string> = new Set(
  'AND OR XOR NOT DIV MOD IS LIKE IN REGEXP RLIKE BETWEEN BINARY COLLATE ESCAPE'.split(' '),
);

/** Found on MySQL 9.7: of the statements that clients often send between two others, these. */
function keepsFoundRows(tokens: SqlToken[]): boolean {
  const [verb] = tokens;
  return verb?.kind === 'word' && KEEP_FOUND_ROWS.has(verb.text) && !hasWord(tokens, 'SELECT');
}

const KEEP_FOUND_ROWS: ReadonlySet<string> = new Set(
  'SET BEGIN START COMMIT ROLLBACK SAVEPOINT USE PREPARE DEALLOCATE'.split(' '),
);

/** Found on MariaDB 11.8; a routine that uses tables is not told from one that does not. */
function isWithoutTables(tokens: SqlToken[]): boolean {
  const [verb, what] = tokens;
  if (verb === undefined) return true;
  if (verb.kind !== 'word') return false;
  if (verb.text === 'ROLLBACK') return true;
  if (verb.text === 'PREPARE') return isTextWithoutTables(tokens[3]);
  if (verb.text === 'EXECUTE' && what?.text === 'IMMEDIATE') return isTextWithoutTables(tokens[2]);
  const inner = what?.kind === 'word' && what.text === 'STATEMENT' ? tokens.findIndex(isFor) : -1;
  if (inner !== -1) return isWithoutTables(tokens.slice(inner + 1));
  if (DEFINING.has(verb.text)) return what?.kind === 'word' && DEFINED_WITHOUT_TABLES.has(what.text);
  return USE_NO_TABLES.has(verb.text) && !hasWord(tokens, 'FROM');
}

/** As written between quotes, which is enough for its words. */
function isTextWithoutTables(text: SqlToken | undefined): boolean {
  return text?.kind === 'string' && sqlStatements(text.text).every(isWithoutTables);
}

function isFor(token: SqlToken): boolean {
  return token.kind === 'word' && token.text === 'FOR';
}

const USE_NO_TABLES: ReadonlySet<string> = new Set([
  ...KEEP_FOUND_ROWS,
  ...'SELECT DO RELEASE KILL BEGIN UNLOCK XA VALUES EXPLAIN FLUSH GRANT REVOKE'.split(' '),
]);
const DEFINING: ReadonlySet<string> = new Set(['CREATE', 'DROP', 'ALTER']);
const DEFINED_WITHOUT_TABLES: ReadonlySet<string> = new Set('DATABASE SCHEMA USER ROLE'.split(' '));

function hasWord(tokens: SqlToken[], word: string): boolean {
  return tokens.some(({ kind, text }) => kind === 'word' && text === word);
}

function edited(sql: string, unsorted: readonly Edit[]): Rewritten {
  const edits = [...unsorted].sort((one, other) => one.start - other.start || one.end - other.end);
  let text = '';
  let at = 0;
  for (const edit of edits) {
    text += sql.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return { text: text + sql.slice(at), edits };
}
