import { calledNames } from './called-names.ts';
import { isSymbol, rebuild, splitAtCommas, writtenName } from './sql-pieces.ts';
import type { SqlToken } from './sql-tokens.ts';
import type { StatementEffect } from './statement-effects.ts';

/** What a SET statement does to the session. */
export function effectsOfSet(tokens: SqlToken[]): StatementEffect[] {
  const words = tokens.map((token) => (token.kind === 'word' ? token.text : ''));
  const effects: StatementEffect[] = [{ kind: 'sets-state' }];
  if (words[1] === 'TRANSACTION') effects.push({ kind: 'next-transaction', sql: rebuild(tokens) });
  const collate = words[1] === 'NAMES' ? tokens[words.indexOf('COLLATE') + 1] : undefined;
  if (collate !== undefined && words.includes('COLLATE'))
    effects.push({ kind: 'collation', name: writtenName(collate).toLowerCase() });
  if (words[1] === 'ROLE') effects.push({ kind: 'role', sql: rebuild(tokens) });
  const assignments = assignmentsOf(tokens);
  const names = namesIn(assignments);
  effects.push(...effectsOnNextTransaction(tokens, assignments));
  if (assignments.some(({ variable }) => TRACKER_VARIABLE.test(variable))) {
    effects.push({
      kind: 'trackers',
      names: names.filter(
        (name) => /^[a-z]\w*$/.test(name) && !TRACKER_VARIABLE.test(name) && !ONE_SHOT_VARIABLE.test(name),
      ),
    });
  }
  for (const { variable, value } of assignments) effects.push(...effectsOfClock(variable, value));
  // By its own name it is found like the function.
  if (!words.includes('LAST_INSERT_ID') && assignments.some(({ variable }) => INSERT_ID.test(variable)))
    effects.push({ kind: 'last-insert-id' });
  const unscoped = assignments
    .map(({ variable }) => variable.replace(/^session\.(?=character_set_(?:server|database)$)/, ''))
    .filter((name) => UNSCOPED.test(name) && !ONE_TIME.test(name));
  if (unscoped.length > 0) effects.push({ kind: 'unscoped', names: unscoped });
  const options = names.filter((name) => OPTIONS.has(name));
  if (stopsClock(assignments)) options.push('timestamp');
  if (options.length > 0) effects.push({ kind: 'options', names: options });
  if (splitAtCommas(tokens).length > 1) effects.push(...severalOf(assignments, words));
  return effects;
}

/** One that cannot be set does not keep the server from setting the others: `SET a = 1, last_insert_id = DEFAULT`. */
function severalOf(assignments: readonly Assignment[], words: readonly string[]): StatementEffect[] {
  const names = namesIn(assignments);
  const ofNames = words.some((word) => /^(?:NAMES|CHARSET|CHARACTER)$/.test(word)) ? CLIENT_CHARSET : [];
  const kept = names.filter((name, index) => {
    const isOfSession = assignments[index]?.variable.startsWith('session.') === true && ONE_SHOT_VARIABLE.test(name);
    return UNSCOPED.test(name) && (isOfSession || !ONE_TIME.test(name));
  });
  const said = [...kept, ...ofNames];
  if (said.length === 0 && names.every((name) => !ONE_TIME.test(name))) return [];
  return [{ kind: 'sets-several', names: said, hasClock: names.includes('timestamp') }];
}

/** What it says about the next transaction is said again right behind it, and has to mean the same then. */
function effectsOnNextTransaction(tokens: SqlToken[], assignments: readonly Assignment[]): StatementEffect[] {
  const said = assignments.filter(({ variable }) => ONE_SHOT_VARIABLE.test(variable));
  if (said.length === 0) return [];
  // The SET itself is the next transaction, where it reads a table.
  const mayUseUp = tokens.some(({ kind, text }) => kind === 'word' && /^(?:FROM|TABLE)$/.test(text));
  const isAlone = splitAtCommas(tokens).length === 1;
  const isChanging = (token: SqlToken) => isSymbol(token, '?') || (token.kind === 'user-variable' && !isAlone);
  if (mayUseUp || calledNames(tokens).length > 0 || said.some(({ value }) => value.some(isChanging)))
    return [{ kind: 'pin', key: NEXT_TRANSACTION_PIN }];
  return said.map(({ variable, value }) => ({
    kind: 'next-transaction',
    sql: `SET @@${variable} = ${rebuild(value)}`,
  }));
}

const NEXT_TRANSACTION_PIN = 'the next transaction, ruled by an expression or by a SET that reads tables';

const CLIENT_CHARSET = ['character_set_client', 'character_set_results', 'collation_connection'];

/** Found on MariaDB 11.8: bits of one word, and each change of one is reported as one of that which was changed first. */
const OPTIONS: ReadonlySet<string> = new Set(
  `autocommit foreign_key_checks unique_checks check_constraint_checks sql_safe_updates sql_auto_is_null sql_big_selects sql_buffer_result
  sql_notes sql_warnings sql_quote_show_create sql_log_off sql_if_exists profiling explicit_defaults_for_timestamp skip_replication
  skip_parallel_replication system_versioning_insert_history`.split(/\s+/),
);

export const TIMESTAMP_PIN = 'timestamp set by an expression';
const ONE_TIME_PIN = 'a value for the next statement: ';

/** MariaDB reports it with the next change only, if at all. */
const INSERT_ID = /^(?:session\.)?(?:last_insert_id|identity)$/;

/** `SET STATEMENT a = 1 FOR …` of MariaDB: the report is of the loan, nothing tells that it was given back. */
export function effectsOfLoan(tokens: SqlToken[]): StatementEffect[] {
  const names = namesIn(assignmentsOf(tokens));
  return [{ kind: 'unscoped', names: names.filter((name) => UNSCOPED.test(name) && !ONE_TIME.test(name)) }];
}

const UNSCOPED = /^[a-z]\w*$/;
/** Nothing that could be set again to what it is. */
const ONE_TIME =
  /^(?:(?:transaction|tx)_(?:isolation|read_only)|session_track_\w+|timestamp|insert_id|last_insert_id|identity|rand_seed[12])$/;

/** What the tracker reports of these is no value to set again: the time that it was, or nothing. */
function effectsOfClock(variable: string, value: SqlToken[]): StatementEffect[] {
  const name = variable.replace(/^session\./, '');
  const isUnscoped = name === variable;
  if (/^(?:insert_id|rand_seed[12])$/.test(name)) return [{ kind: 'pin', key: ONE_TIME_PIN + name }];
  if (name !== 'timestamp') return [];
  const text = textOf(value);
  if (CLOCK_RUNS.test(text)) return [{ kind: 'timestamp-default' }, { kind: 'unpin-prefix', prefix: TIMESTAMP_PIN }];
  // Whether the clock stands still after it cannot be told from the report.
  if (!/^\d+(?:\.\d*)?$/.test(text)) return [{ kind: 'pin', key: TIMESTAMP_PIN }];
  return [
    { kind: 'unpin-prefix', prefix: TIMESTAMP_PIN },
    ...(isUnscoped ? [{ kind: 'clock-unscoped' } as const] : []),
  ];
}

const CLOCK_RUNS = /^(?:DEFAULT|0+(?:\.0*)?)$/;

/** The last one counts, where it is said twice. */
function stopsClock(assignments: readonly Assignment[]): boolean {
  const last = assignments.findLast(({ variable }) => variable.replace(/^session\./, '') === 'timestamp');
  return last !== undefined && /^\d[\d.]*$/.test(textOf(last.value)) && !CLOCK_RUNS.test(textOf(last.value));
}

function textOf(value: readonly SqlToken[]): string {
  return value.map(({ text }) => text).join('');
}

/** Only with `@@` and without a scope they rule one transaction; without `@@` they are the session's. */
const ONE_SHOT_VARIABLE = /^(?:transaction|tx)_(?:isolation|read_only)$/;
const TRACKER_VARIABLE = /^(?:session\.)?session_track_(?:system_variables|schema|state_change)$/;

interface Assignment {
  /** Lower case; `@@` alone is left out where the scope follows, and everything of it for a plain name. */
  variable: string;
  value: SqlToken[];
}

/** Without their scopes. */
function namesIn(assignments: readonly Assignment[]): string[] {
  return assignments.map(({ variable }) => variable.replace(/^session\./, ''));
}

/** `a = 1, @@b = 2, SESSION c = 3`: system variables only; a word without `@@` is told by a leading `session.`. */
function assignmentsOf(tokens: SqlToken[]): Assignment[] {
  const assignments: Assignment[] = [];
  for (const piece of splitAtCommas(tokens.slice(1))) {
    const equals = piece.findIndex((token) => isSymbol(token, '='));
    if (equals < 1) continue;
    const target = piece.slice(0, equals);
    // In @@`x` the second sign and the name are taken for a user variable.
    const [sign] = target;
    const isDoubled = sign !== undefined && isSymbol(sign, '@');
    if (!isDoubled && target.some(({ kind }) => kind === 'user-variable')) continue;
    const variable = variableIn(target);
    if (variable !== null) assignments.push({ variable, value: piece.slice(equals + 1) });
  }
  return assignments;
}

/** However it is written: `@@session.x`, @@`x`, `@@local . x`, `SESSION x`, `x`. Null where it is not of the session. */
function variableIn(target: SqlToken[]): string | null {
  const names = target.flatMap((token) => {
    if (token.kind === 'symbol') return [];
    return writtenName(token)
      .toLowerCase()
      .split('.')
      .filter((name) => name !== '');
  });
  const [scope, ...rest] = names;
  if (scope === undefined) return null;
  const [name] = rest;
  if (name === undefined) {
    const first = target[0];
    const isUnscoped = first !== undefined && (first.kind === 'system-variable' || isSymbol(first, '@'));
    return isUnscoped ? scope : `session.${scope}`;
  }
  return scope === 'session' || scope === 'local' ? `session.${name}` : null;
}
