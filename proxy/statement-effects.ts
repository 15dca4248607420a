import { sqlStatements, type SqlToken } from './sql-tokens.ts';

/**
 * What a statement may do to the session beyond what the server's trackers report. The inspection only ever adds
 * caution: whether a transaction is open is the server's word (status flags), never ours.
 */
export type StatementEffect =
  /** The session cannot leave its server until the matching release. */
  | { kind: 'pin'; key: string }
  | { kind: 'unpin'; key: string }
  | { kind: 'unpin-prefix'; prefix: string }
  | { kind: 'user-variable'; name: string }
  | { kind: 'text-prepare'; name: string; text: string }
  | { kind: 'text-deallocate'; name: string }
  /** SET TRANSACTION without SESSION: rules the next transaction only. */
  | { kind: 'next-transaction'; sql: string }
  | { kind: 'role'; sql: string }
  /** A statement of SQL's PREPARE runs: it may assign any of the variables that are known. */
  | { kind: 'values' }
  | { kind: 'last-insert-id' }
  /** The clock of the session runs again: the tracker reports a time that must not be restored. */
  | { kind: 'timestamp-default' }
  /** A routine may change state that nothing names. */
  | { kind: 'calls-routine' }
  /** A statement that is known to change the state in ways that trackers report by name. */
  | { kind: 'sets-state' }
  /** SQL_CALC_FOUND_ROWS: the next statement is likely to read FOUND_ROWS(). */
  | { kind: 'found-rows' }
  | { kind: 'kill'; id: number; target: 'connection' | 'query' };

export const NO_EFFECTS: readonly StatementEffect[] = [];

const PIN = {
  temporaryTable: 'temporary table ',
  userLock: 'user lock ',
  lockTables: 'LOCK TABLES',
  handler: 'HANDLER ',
  xa: 'XA transaction',
} as const;

/** Beyond this many bytes a text is looked at in its beginning only; the server's state-change tracker covers the rest. */
const INSPECTED_BYTES_MAX = 1 << 16;

const PLAIN = /^\s*(?:select|insert|update|delete|replace|begin|commit|rollback|start|show|explain|with|savepoint)\b/i;
const NOT_PLAIN = /[@;]|\/\*|_lock|last_insert_id|sql_calc_found_rows/i;

/** `text` is the statement as latin1: every byte one character. */
export function effectsOf(text: string): readonly StatementEffect[] {
  const inspected = text.length > INSPECTED_BYTES_MAX ? text.slice(0, INSPECTED_BYTES_MAX) : text;
  if (PLAIN.test(inspected) && !NOT_PLAIN.test(inspected)) return NO_EFFECTS;
  return sqlStatements(inspected).flatMap((tokens) => [...effectsOfTokens(tokens), ...effectsOfExpressions(tokens)]);
}

function effectsOfTokens(tokens: SqlToken[]): StatementEffect[] {
  const word = (index: number) => (tokens[index]?.kind === 'word' ? tokens[index].text : '');
  switch (word(0)) {
    case 'CREATE':
      return effectsOfCreate(tokens);
    case 'DROP':
      if (word(1) === 'PREPARE') return [{ kind: 'text-deallocate', name: nameAt(tokens, 2) }];
      return effectsOfDrop(tokens);
    case 'DEALLOCATE':
      return [{ kind: 'text-deallocate', name: nameAt(tokens, 2) }];
    case 'PREPARE':
      return effectsOfPrepare(tokens);
    case 'SET':
      return effectsOfSet(tokens);
    case 'CALL':
      return [{ kind: 'calls-routine' }];
    case 'EXECUTE':
      return [{ kind: 'sets-state' }, { kind: 'values' }];
    case 'USE':
      return [{ kind: 'sets-state' }];
    case 'LOCK':
      return word(1) === 'INSTANCE' ? [{ kind: 'pin', key: 'LOCK INSTANCE' }] : [{ kind: 'pin', key: PIN.lockTables }];
    case 'UNLOCK':
      return [{ kind: 'unpin-prefix', prefix: word(1) === 'INSTANCE' ? 'LOCK INSTANCE' : PIN.lockTables }];
    case 'FLUSH':
      return tokens.some((token) => token.kind === 'word' && (token.text === 'LOCK' || token.text === 'EXPORT'))
        ? [{ kind: 'pin', key: PIN.lockTables }]
        : [];
    case 'HANDLER':
      return effectsOfHandler(tokens);
    case 'XA':
      if (word(1) === 'START' || word(1) === 'BEGIN') return [{ kind: 'pin', key: PIN.xa }];
      return word(1) === 'COMMIT' || word(1) === 'ROLLBACK' ? [{ kind: 'unpin-prefix', prefix: PIN.xa }] : [];
    case 'KILL':
      return effectsOfKill(tokens);
    case 'START':
    case 'BEGIN':
      // A new transaction releases LOCK TABLES (manual, "Transaction statements": implicit UNLOCK TABLES); not the
      // global read lock, which has the same key on purpose: it then stays pinned only until the drain names it.
      return [];
    default:
      return [];
  }
}

function effectsOfCreate(tokens: SqlToken[]): StatementEffect[] {
  const temporary = tokens.findIndex((token) => token.kind === 'word' && token.text === 'TEMPORARY');
  const table = tokens.findIndex((token) => token.kind === 'word' && token.text === 'TABLE');
  if (temporary === -1 || table === -1 || table < temporary || temporary > 3) return [];
  return [
    {
      kind: 'pin',
      key:
        PIN.temporaryTable +
        tableNames(tokens.slice(table + 1))
          .slice(0, 1)
          .join(''),
    },
  ];
}

function effectsOfDrop(tokens: SqlToken[]): StatementEffect[] {
  const table = tokens.findIndex(
    (token) => token.kind === 'word' && (token.text === 'TABLE' || token.text === 'TABLES'),
  );
  if (table === -1 || table > 2) return [];
  return tableNames(tokens.slice(table + 1)).map((name) => ({ kind: 'unpin', key: PIN.temporaryTable + name }));
}

/** Unqualified, lower case. */
function tableNames(tokens: SqlToken[]): string[] {
  const names: string[] = [];
  let name = '';
  for (const token of tokens) {
    if (token.kind === 'word' && ['IF', 'NOT', 'EXISTS'].includes(token.text)) continue;
    if (token.kind === 'word' || token.kind === 'quoted-name') name = token.text.toLowerCase();
    else if (token.kind === 'symbol' && token.text === '.') continue;
    else if (token.kind === 'symbol' && token.text === ',') {
      names.push(name);
      name = '';
    } else break;
    if (token.kind === 'word' && ['LIKE', 'SELECT', 'AS', 'ENGINE', 'CASCADE', 'RESTRICT'].includes(token.text)) break;
  }
  // `t LIKE u`, `t SELECT …`: the word after the name ended the loop and is not the name.
  const first = tokens.filter((token) => !(token.kind === 'word' && ['IF', 'NOT', 'EXISTS'].includes(token.text)))[0];
  if (
    names.length === 0 &&
    ['like', 'select', 'as', 'engine', 'cascade', 'restrict'].includes(name) &&
    first !== undefined
  ) {
    return [lastOfQualified(tokens)];
  }
  if (name !== '') names.push(name);
  return names;
}

function lastOfQualified(tokens: SqlToken[]): string {
  const rest = tokens.filter((token) => !(token.kind === 'word' && ['IF', 'NOT', 'EXISTS'].includes(token.text)));
  const [first, dot, second] = rest;
  const last = dot?.kind === 'symbol' && dot.text === '.' ? second : first;
  return last === undefined || last.kind === 'symbol' ? '' : last.text.toLowerCase();
}

function effectsOfPrepare(tokens: SqlToken[]): StatementEffect[] {
  const text = tokens[3];
  const name = nameAt(tokens, 1);
  // From a variable: what it held then cannot be known later.
  if (text?.kind !== 'string') return [{ kind: 'pin', key: `PREPARE ${name} FROM a variable` }, { kind: 'sets-state' }];
  const plain = text.text.replaceAll(`''`, `'`).replaceAll(/\\(.)/gs, '$1');
  // What its execution may do counts from now on.
  const inner = effectsOf(plain).filter(({ kind }) => kind === 'pin' || kind === 'user-variable');
  return [{ kind: 'text-prepare', name, text: text.text }, ...inner];
}

function effectsOfSet(tokens: SqlToken[]): StatementEffect[] {
  const words = tokens.map((token) => (token.kind === 'word' ? token.text : ''));
  const effects: StatementEffect[] = [{ kind: 'sets-state' }];
  if (words[1] === 'TRANSACTION') effects.push({ kind: 'next-transaction', sql: rebuild(tokens) });
  if (words[1] === 'ROLE') effects.push({ kind: 'role', sql: rebuild(tokens) });
  for (const [index, token] of tokens.entries()) {
    const isTimestamp =
      (token.kind === 'word' && token.text === 'TIMESTAMP') ||
      (token.kind === 'system-variable' && token.text.endsWith('timestamp'));
    if (!isTimestamp) continue;
    const value = tokens
      .slice(index + 1)
      .find((next) => !(next.kind === 'symbol' && (next.text === '=' || next.text === ':')));
    if (value?.kind === 'word' && (value.text === 'DEFAULT' || value.text === '0'))
      effects.push({ kind: 'timestamp-default' });
  }
  return effects;
}

function effectsOfHandler(tokens: SqlToken[]): StatementEffect[] {
  const last = tokens.findLast((token) => token.kind === 'word');
  const name = PIN.handler + lastOfQualified(tokens.slice(1));
  if (tokens.some((token) => token.kind === 'word' && token.text === 'OPEN')) return [{ kind: 'pin', key: name }];
  return last?.text === 'CLOSE' ? [{ kind: 'unpin', key: name }] : [];
}

function effectsOfKill(tokens: SqlToken[]): StatementEffect[] {
  const id = tokens.findLast((token) => token.kind === 'word');
  if (id === undefined || !/^\d+$/.test(id.text)) return [];
  const isQuery = tokens.some((token) => token.kind === 'word' && token.text === 'QUERY');
  return [{ kind: 'kill', id: Number(id.text), target: isQuery ? 'query' : 'connection' }];
}

/** Functions and variables, wherever they stand. */
function effectsOfExpressions(tokens: SqlToken[]): StatementEffect[] {
  const effects: StatementEffect[] = [];
  const assigns = mayAssign(tokens);
  for (const [index, token] of tokens.entries()) {
    if (token.kind === 'user-variable' && assigns)
      effects.push({ kind: 'user-variable', name: token.text.toLowerCase() });
    if (token.kind !== 'word') continue;
    if (token.text === 'GET_LOCK') effects.push({ kind: 'pin', key: PIN.userLock + lockName(tokens, index) });
    else if (token.text === 'RELEASE_LOCK')
      effects.push({ kind: 'unpin', key: PIN.userLock + lockName(tokens, index) });
    else if (token.text === 'RELEASE_ALL_LOCKS') effects.push({ kind: 'unpin-prefix', prefix: PIN.userLock });
    else if (token.text === 'SQL_CALC_FOUND_ROWS') effects.push({ kind: 'found-rows' });
    else if (token.text === 'LAST_INSERT_ID') effects.push({ kind: 'last-insert-id' });
  }
  return effects;
}

/**
 * Whether user variables in a statement may be assigned and not only read. A function that assigns one on the side is
 * told by the server's state-change tracker.
 */
function mayAssign(tokens: SqlToken[]): boolean {
  const [first] = tokens;
  if (first?.kind === 'word' && ASSIGNING_STATEMENTS.has(first.text)) return true;
  return tokens.some((token, index) => {
    if (token.kind === 'word') return token.text === 'INTO';
    const next = tokens[index + 1];
    return token.kind === 'symbol' && token.text === ':' && next?.kind === 'symbol' && next.text === '=';
  });
}

const ASSIGNING_STATEMENTS: ReadonlySet<string> = new Set(['SET', 'CALL', 'GET', 'LOAD', 'IMPORT', 'FETCH']);

/** A lock whose name is not written out can only be released by RELEASE_ALL_LOCKS, as far as we can see. */
function lockName(tokens: SqlToken[], index: number): string {
  const name = tokens[index + 2];
  return name?.kind === 'string' ? name.text.toLowerCase() : '(named by an expression)';
}

function nameAt(tokens: SqlToken[], index: number): string {
  const token = tokens[index];
  return token === undefined ? '' : token.text.toLowerCase();
}

/** The statement again, without its comments. */
function rebuild(tokens: SqlToken[]): string {
  return tokens.map(written).join(' ').replaceAll(' @', '@');
}

function written(token: SqlToken): string {
  switch (token.kind) {
    case 'word':
      return token.written;
    case 'string':
      return `'${token.text}'`;
    case 'quoted-name':
      return `\`${token.text.replaceAll('`', '``')}\``;
    // In SET ROLE 'name'@'host' this is the host.
    case 'user-variable':
      return `@'${token.text}'`;
    case 'system-variable':
      return `@@${token.text}`;
    case 'symbol':
      return token.text;
    default:
      throw new Error(`unknown token ${JSON.stringify(token satisfies never)}`);
  }
}
