import { kindOfReading } from './diagnostics-reading.ts';
import { effectsOfLoan, effectsOfSet } from './set-effects.ts';
import { calledNames, functionName } from './called-names.ts';
import { isSymbol, rebuild, splitAtCommas, tableNames, writtenName, type TableName } from './sql-pieces.ts';
import { sqlStatements, type SqlToken } from './sql-tokens.ts';
import { hasHighBytes, lowerCase, narrowed, PLAIN_READING, type Reading } from './statement-reading.ts';
import { effectOfLockFunction } from './user-locks.ts';

/**
 * What a statement may do to the session beyond what the server's trackers report. The inspection only ever adds
 * caution: whether a transaction is open is the server's word (status flags), never ours.
 */
export type StatementEffect =
  /** The session cannot leave its server until the matching release. */
  | { kind: 'pin'; key: string }
  | { kind: 'unpin'; key: string }
  | { kind: 'unpin-prefix'; prefix: string }
  /** Dropping it by the same name releases it; the schema is null where the text names none. `mayExist`: it need not be made by this statement. */
  | { kind: 'temporary-table'; schema: string | null; name: string; mayExist: boolean }
  | { kind: 'drop-table'; schema: string | null; name: string }
  /** `isOfTemporary`: a temporary table of the first name is the one that is renamed. */
  | { kind: 'rename-table'; schema: string | null; name: string; to: TableName; isOfTemporary: boolean }
  /** May take a lock; the name is null where it cannot be told. */
  | { kind: 'user-lock'; name: string | null; isFirstParameter: boolean }
  /** May release locks: the server is asked which are left. */
  | { kind: 'releases-locks' }
  | { kind: 'user-variable'; name: string }
  /** `inner`: what each execution may do. */
  | { kind: 'text-prepare'; name: string; text: string; inner: readonly StatementEffect[]; isAmongOthers?: true }
  | { kind: 'text-execute'; name: string }
  /** PREPARE … FROM @variable: the text has to be asked for. */
  | { kind: 'text-prepare-from'; name: string; variable: string }
  | { kind: 'text-deallocate'; name: string; isAmongOthers?: true }
  /** SET TRANSACTION, or its variables, without SESSION: rules the next transaction only. */
  | { kind: 'next-transaction'; sql: string }
  /** Our trackers may be off after it; the other variables of the same SET may have gone unreported. */
  | { kind: 'trackers'; names: string[] }
  /** `SET @@x` without a scope, which MariaDB does not report: the server has to be asked for these. */
  | { kind: 'unscoped'; names: string[] }
  /** Names that may be stored functions: if the state changed, they may have changed more than the text names. */
  | { kind: 'calls-functions'; names: readonly TableName[] }
  | { kind: 'role'; sql: string; isAmongOthers?: true }
  /** SET NAMES … COLLATE. */
  | { kind: 'collation'; name: string }
  /** A statement of SQL's PREPARE runs: it may assign any of the variables that are known. */
  | { kind: 'values' }
  | { kind: 'use' }
  /** A statement that was prepared in another schema runs: prepared anew by the server, it goes there and back. */
  | { kind: 'elsewhere'; preparedIn: string | null; text: Buffer }
  | { kind: 'last-insert-id' }
  /** The clock of the session runs again: the tracker reports a time that must not be restored. */
  | { kind: 'timestamp-default'; isAmongOthers?: true }
  /** `SET @@timestamp` to a time, without a scope. */
  | { kind: 'clock-unscoped' }
  /** A routine may change state that nothing names. */
  | { kind: 'calls-routine' }
  /** A statement that is known to change the state in ways that trackers report by name. */
  | { kind: 'sets-state' }
  /** Variables that MariaDB may report by the name of another one: the server has to be asked for these. */
  | { kind: 'options'; names: string[] }
  /** SET of several variables: failed, it may have set some of them all the same. */
  | { kind: 'sets-several'; names: string[]; hasClock: boolean }
  /** There are several statements in the text. */
  | { kind: 'several' }
  /** SHOW WARNINGS and its kin: what they tell of the statement before is still there behind them. */
  | { kind: 'shows-diagnostics'; isGet: boolean }
  /** SQL_CALC_FOUND_ROWS: the next statement is likely to read FOUND_ROWS(). */
  | { kind: 'found-rows' }
  /** `statement` is the text up to the id. */
  | { kind: 'kill'; id: number; statement: string };

export const NO_EFFECTS: readonly StatementEffect[] = [];

export const PIN = {
  lockTables: 'LOCK TABLES',
  flushTables: 'FLUSH TABLES WITH READ LOCK',
  lockInstance: 'LOCK INSTANCE',
  backupStage: 'BACKUP STAGE',
  preparedText: (name: string) => `PREPARE ${name} FROM a variable, among other statements`,
  handler: 'HANDLER ',
  xa: 'XA transaction',
  nextTransaction: 'SET TRANSACTION among other statements',
  trackers: 'session_track variables set among other statements',
  wideText: 'a text in a character set whose bytes cannot be told from quotes',
  immediate: 'EXECUTE IMMEDIATE of a text that is not written out',
} as const;

/** Beyond this many bytes a text is looked at in its beginning only; the server's state-change tracker covers the rest. */
const INSPECTED_BYTES_MAX = 1 << 16;

const PLAIN = /^\s*(?:select|insert|update|delete|replace|begin|commit|rollback|start|explain|with|savepoint)\b/i;
const NOT_PLAIN = /[@;]|\/\*|_lock|last_insert_id|sql_calc_found_rows|returning/i;

/** `text` is the statement as latin1: every byte one character. */
export function effectsOf(text: string, reading: Reading = PLAIN_READING): readonly StatementEffect[] {
  const inspected = text.length > INSPECTED_BYTES_MAX ? text.slice(0, INSPECTED_BYTES_MAX) : text;
  if (PLAIN.test(inspected) && !NOT_PLAIN.test(inspected)) return NO_EFFECTS;
  const seen = reading.hasWideCharacters ? narrowed(inspected) : inspected;
  const statements = sqlStatements(seen, reading.escapesByBackslash);
  const found = statements.flatMap((tokens) => [...effectsOfTokens(tokens, reading), ...effectsOfExpressions(tokens)]);
  const effects = seen === inspected ? found : found.map(withoutWideText);
  if (statements.length === 1 || effects.length === 0) return effects;
  return [...effects.map(amongOthers), { kind: 'several' }];
}

/** Functions of somebody's that the text may call, also where nothing else is to be seen in it. */
export function functionsIn(text: string, { hasWideCharacters, escapesByBackslash }: Reading): TableName[] {
  const inspected = text.slice(0, INSPECTED_BYTES_MAX);
  return sqlStatements(hasWideCharacters ? narrowed(inspected) : inspected, escapesByBackslash).flatMap(calledNames);
}

/** What was narrowed to be looked at is no name or text any more that could be said again. */
function withoutWideText(effect: StatementEffect): StatementEffect {
  const said = 'name' in effect ? (effect.name ?? '') : 'sql' in effect ? effect.sql : '';
  if (effect.kind === 'calls-functions')
    return hasHighBytes(effect.names.map(({ name }) => name).join('')) ? { kind: 'calls-routine' } : effect;
  return hasHighBytes(said + ('text' in effect ? effect.text : '')) ? { kind: 'pin', key: PIN.wideText } : effect;
}

/** What the proxy has to look at right after the statement, it cannot when more statements follow in the same text. */
export function amongOthers(effect: StatementEffect): StatementEffect {
  if (effect.kind === 'next-transaction' || effect.kind === 'trackers') return executed(effect);
  if (effect.kind === 'text-prepare-from') return { kind: 'pin', key: PIN.preparedText(effect.name) };
  switch (effect.kind) {
    case 'role':
    case 'text-prepare':
    case 'text-deallocate':
    case 'timestamp-default':
      return { ...effect, isAmongOthers: true };
    default:
      return effect;
  }
}

function executed(effect: StatementEffect): StatementEffect {
  if (effect.kind === 'next-transaction') return { kind: 'pin', key: PIN.nextTransaction };
  if (effect.kind === 'trackers') return { kind: 'pin', key: PIN.trackers };
  return effect.kind === 'temporary-table' ? { ...effect, mayExist: true } : effect;
}

/** Its answer does not tell the number that a row in it was given. */
const ROUTINE: readonly StatementEffect[] = [{ kind: 'calls-routine' }, { kind: 'last-insert-id' }];

/** A new transaction ends LOCK TABLES, but not the global read lock. Source: manual, "LOCK TABLES and UNLOCK TABLES". */
export function beginsTransaction(text: string): boolean {
  // BEGIN NOT ATOMIC is MariaDB's block of statements.
  return /^\s*(?:begin\b(?!\s+not\b)|start\s+transaction\b)/i.test(text);
}

/** Released by the begin of a transaction. */
export const TABLE_LOCK_PIN = PIN.lockTables;

function effectsOfTokens(tokens: SqlToken[], reading: Reading): StatementEffect[] {
  const word = (index: number) => (tokens[index]?.kind === 'word' ? tokens[index].text : '');
  switch (word(0)) {
    case 'CREATE':
      return effectsOfCreate(tokens);
    case 'ALTER':
    case 'RENAME':
      return effectsOfRename(tokens);
    case 'DROP':
      return word(1) === 'PREPARE' ? effectsOfDeallocate(tokens) : effectsOfDrop(tokens);
    case 'DEALLOCATE':
      return effectsOfDeallocate(tokens);
    case 'PREPARE':
      return effectsOfPrepare(tokens, reading);
    case 'SET': {
      const inner = word(1) === 'STATEMENT' ? tokens.findIndex(isFor) : -1;
      if (inner === -1) return effectsOfSet(tokens);
      return [...effectsOfLoan(tokens.slice(1, inner)), ...effectsOfTokens(tokens.slice(inner + 1), reading)];
    }
    case 'BEGIN':
      // MariaDB's block of statements is a routine without a name.
      return word(1) === 'NOT' ? [...ROUTINE, ...effectsOfTokens(tokens.slice(3), reading)] : [];
    case 'IF':
    case 'CASE':
    case 'LOOP':
    case 'WHILE':
    case 'REPEAT':
    case 'FOR':
    case 'CALL':
      return [...ROUTINE];
    case 'EXECUTE':
      if (word(1) === 'IMMEDIATE') return effectsOfImmediate(tokens, reading);
      return [{ kind: 'values' }, { kind: 'last-insert-id' }, { kind: 'text-execute', name: nameAt(tokens, 1) }];
    case 'USE':
      return [{ kind: 'use' }];
    case 'LOCK':
      return [{ kind: 'pin', key: word(1) === 'INSTANCE' ? PIN.lockInstance : PIN.lockTables }];
    case 'UNLOCK':
      if (word(1) === 'INSTANCE') return [{ kind: 'unpin-prefix', prefix: PIN.lockInstance }];
      return [
        { kind: 'unpin-prefix', prefix: PIN.lockTables },
        { kind: 'unpin-prefix', prefix: PIN.flushTables },
      ];
    case 'FLUSH':
      return tokens.some((token) => token.kind === 'word' && (token.text === 'LOCK' || token.text === 'EXPORT'))
        ? [{ kind: 'pin', key: PIN.flushTables }]
        : [];
    case 'BACKUP':
      if (word(1) === 'STAGE' && word(2) === 'END') return [{ kind: 'unpin-prefix', prefix: PIN.backupStage }];
      return word(1) === 'STAGE' || word(1) === 'LOCK' ? [{ kind: 'pin', key: PIN.backupStage }] : [];
    case 'BINLOG':
      // The server keeps the format description that it carries, which the next one needs.
      return [{ kind: 'pin', key: 'BINLOG statement' }];
    case 'HANDLER':
      return effectsOfHandler(tokens);
    case 'XA':
      if (word(1) === 'START' || word(1) === 'BEGIN') return [{ kind: 'pin', key: PIN.xa }];
      return word(1) === 'COMMIT' || word(1) === 'ROLLBACK' ? [{ kind: 'unpin-prefix', prefix: PIN.xa }] : [];
    case 'KILL':
      return effectsOfKill(tokens);
    case 'SHOW':
    case 'GET':
      return effectsOfShowing(tokens);
    default:
      return [];
  }
}

function effectsOfCreate(tokens: SqlToken[]): StatementEffect[] {
  const temporary = tokens.findIndex((token) => token.kind === 'word' && token.text === 'TEMPORARY');
  const table = tokens.findIndex((token) => token.kind === 'word' && token.text === 'TABLE');
  if (temporary === -1 || table === -1 || table < temporary || temporary > 3) return [];
  const ifNotExists = tokens[table + 1]?.kind === 'word' && tokens[table + 1]?.text === 'IF';
  const [first] = tableNames(tokens.slice(table + 1));
  const mayExist =
    ifNotExists || tokens.slice(0, table).some((token) => token.kind === 'word' && token.text === 'REPLACE');
  return [{ kind: 'temporary-table', ...(first ?? { schema: null, name: '' }), mayExist }];
}

/** ALTER TABLE a RENAME b; RENAME TABLE a TO b, c TO d, by which MySQL renames no temporary tables, and MariaDB does. */
function effectsOfRename(tokens: SqlToken[]): StatementEffect[] {
  const isWord = (token: SqlToken | undefined, ...texts: string[]) =>
    token?.kind === 'word' && texts.includes(token.text);
  const table = tokens.findIndex((token) => isWord(token, 'TABLE', 'TABLES'));
  if (table === -1 || table > 3) return [];
  const isAlter = isWord(tokens[0], 'ALTER');
  const pairs = isAlter ? [tokens.slice(table + 1)] : splitAtCommas(tokens.slice(table + 1));
  return pairs.flatMap((pair): StatementEffect[] => {
    const at = pair.findIndex(
      (token, index) =>
        isWord(token, isAlter ? 'RENAME' : 'TO') && !isWord(pair[index + 1], 'COLUMN', 'INDEX', 'KEY', 'CONSTRAINT'),
    );
    const isFiller = isWord(pair[at + 1], 'TO', 'AS') || pair[at + 1]?.text === '=';
    const [[from], [to]] = [tableNames(pair), tableNames(pair.slice(at + (isFiller ? 2 : 1)))];
    if (at === -1 || from === undefined || to === undefined) return [];
    return [{ kind: 'rename-table', ...from, to, isOfTemporary: isAlter }];
  });
}

function effectsOfDrop(tokens: SqlToken[]): StatementEffect[] {
  const table = tokens.findIndex(
    (token) => token.kind === 'word' && (token.text === 'TABLE' || token.text === 'TABLES'),
  );
  if (table === -1 || table > 2) return [];
  return tableNames(tokens.slice(table + 1)).map((name) => ({ kind: 'drop-table', ...name }));
}

function effectsOfDeallocate(tokens: SqlToken[]): StatementEffect[] {
  const name = nameAt(tokens, 2);
  return [
    { kind: 'text-deallocate', name },
    { kind: 'unpin', key: PIN.preparedText(name) },
  ];
}

function effectsOfPrepare(tokens: SqlToken[], reading: Reading): StatementEffect[] {
  const text = tokens[3];
  const name = nameAt(tokens, 1);
  // Anything else is no statement; one that is, but for what it prepares, takes the former statement of that name away.
  if (tokens.length !== 4) return [];
  if (text?.kind === 'user-variable') return [{ kind: 'text-prepare-from', name, variable: text.text }];
  if (text?.kind !== 'string') return [];
  // What its execution may do counts from now on.
  const inner = effectsOfExecution(unescaped(text.text, reading), reading);
  // The report of this statement's own change is explained by it.
  const now = inner.filter(({ kind }) => kind !== 'calls-routine' && kind !== 'calls-functions');
  return [{ kind: 'text-prepare', name, text: text.text, inner }, ...now];
}

/** MariaDB: prepared, executed and forgotten. */
function effectsOfImmediate(tokens: SqlToken[], reading: Reading): StatementEffect[] {
  const text = tokens[2];
  if (text?.kind !== 'string') return [{ kind: 'pin', key: PIN.immediate }];
  const inner = effectsOf(unescaped(text.text, reading), reading).map(amongOthers);
  return [...inner, { kind: 'values' }, { kind: 'last-insert-id' }];
}

export function unescaped(text: string, { escapesByBackslash }: Reading): string {
  const quoted = text.replaceAll(`''`, `'`);
  return escapesByBackslash ? quoted.replaceAll(/\\(.)/gs, '$1') : quoted;
}

/** SET STATEMENT … FOR: what stands behind it is run. */
function isFor(token: SqlToken): boolean {
  return token.kind === 'word' && token.text === 'FOR';
}

/** What executing a statement of SQL's PREPARE may do, counted from its preparation on. */
export function effectsOfExecution(text: string, reading: Reading): StatementEffect[] {
  return effectsOf(text, reading)
    .map(executed)
    .filter(({ kind }) => KEPT_FOR_EXECUTION.has(kind));
}

const KEPT_FOR_EXECUTION: ReadonlySet<StatementEffect['kind']> = new Set([
  'pin',
  'temporary-table',
  'rename-table',
  'user-lock',
  'releases-locks',
  'user-variable',
  'unscoped',
  'options',
  'calls-functions',
  'calls-routine',
  'sets-state',
  'sets-several',
  'role',
  'collation',
  'timestamp-default',
  'shows-diagnostics',
]);

function effectsOfHandler(tokens: SqlToken[]): StatementEffect[] {
  const [name] = tableNames(tokens.slice(1));
  const open = tokens.findIndex((token) => token.kind === 'word' && token.text === 'OPEN');
  if (open !== -1) {
    const alias = tokens.slice(open + 1).findLast((token) => token.kind === 'word' || token.kind === 'quoted-name');
    return [{ kind: 'pin', key: PIN.handler + (alias === undefined ? (name?.name ?? '') : writtenName(alias)) }];
  }
  const last = tokens.at(-1);
  return last?.kind === 'word' && last.text === 'CLOSE'
    ? [{ kind: 'unpin', key: PIN.handler + (name?.name ?? '') }]
    : [];
}

function effectsOfShowing(tokens: SqlToken[]): StatementEffect[] {
  const kind = kindOfReading(tokens);
  return kind === 'statement' ? [] : [{ kind: 'shows-diagnostics', isGet: kind === 'get' }];
}

/** Not KILL QUERY ID and KILL USER of MariaDB, which name no connection. */
function effectsOfKill(tokens: SqlToken[]): StatementEffect[] {
  const id = tokens.at(-1);
  const before = tokens.slice(0, -1);
  if (id?.kind !== 'word' || !/^\d+$/.test(id.text)) return [];
  if (!before.every((token) => token.kind === 'word' && KILL_WORDS.has(token.text))) return [];
  return [{ kind: 'kill', id: Number(id.text), statement: rebuild(before) }];
}

const KILL_WORDS: ReadonlySet<string> = new Set(['KILL', 'HARD', 'SOFT', 'CONNECTION', 'QUERY']);

/** Functions and variables, wherever they stand. */
function effectsOfExpressions(tokens: SqlToken[]): StatementEffect[] {
  const effects: StatementEffect[] = assignedVariables(tokens).map(({ text }) => ({
    kind: 'user-variable',
    name: lowerCase(text),
  }));
  for (const index of tokens.keys()) {
    const name = functionName(tokens, index);
    const lock = effectOfLockFunction(name, tokens, index);
    if (lock !== null) effects.push(lock);
    else if (name === 'SQL_CALC_FOUND_ROWS') effects.push({ kind: 'found-rows' });
    // INSERT … RETURNING answers with rows, which do not tell the number that was given.
    else if (name === 'LAST_INSERT_ID' || name === 'RETURNING') effects.push({ kind: 'last-insert-id' });
  }
  const definesOrCalls = tokens.some(({ kind, text }) => kind === 'word' && (text === 'CREATE' || text === 'CALL'));
  const names = definesOrCalls ? [] : calledNames(tokens);
  if (names.length > 0) effects.push({ kind: 'calls-functions', names });
  return effects;
}

/**
 * The user variables that a statement may assign; what is only read there is not carried over, where it need not exist. A function
 * that assigns one on the side is told by the server's state-change tracker.
 */
function assignedVariables(tokens: SqlToken[]): SqlToken[] {
  const [first] = tokens;
  const assignsAny = first?.kind === 'word' && ASSIGNING_STATEMENTS.has(first.text);
  const into = tokens.findIndex(({ kind, text }) => kind === 'word' && text === 'INTO');
  return tokens.filter(
    ({ kind }, index) =>
      kind === 'user-variable' && (assignsAny || (into !== -1 && index > into) || isTarget(tokens, index)),
  );
}

/** `@a := …`, or `SET @a = …, @b = …`, which MariaDB has within other statements too. */
function isTarget(tokens: SqlToken[], index: number): boolean {
  const [before, next, afterNext] = [tokens[index - 1], tokens[index + 1], tokens[index + 2]];
  if (next === undefined) return false;
  if (isSymbol(next, ':')) return afterNext !== undefined && isSymbol(afterNext, '=');
  if (!isSymbol(next, '=') || before === undefined) return false;
  return isSet(before) || isFor(before) || isSymbol(before, ',');
}

function isSet(token: SqlToken): boolean {
  return token.kind === 'word' && token.text === 'SET';
}

const ASSIGNING_STATEMENTS: ReadonlySet<string> = new Set(['CALL', 'GET', 'LOAD', 'IMPORT', 'FETCH']);

function nameAt(tokens: SqlToken[], index: number): string {
  const token = tokens[index];
  return token === undefined ? '' : lowerCase(writtenName(token));
}
