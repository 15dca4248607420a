import { isSymbol, rebuild, splitAtCommas } from './sql-pieces.ts';
import type { SqlToken } from './sql-tokens.ts';
import type { StatementEffect } from './statement-effects.ts';

/** What a SET statement does to the session. */
export function effectsOfSet(tokens: SqlToken[]): StatementEffect[] {
  const words = tokens.map((token) => (token.kind === 'word' ? token.text : ''));
  const effects: StatementEffect[] = [{ kind: 'sets-state' }];
  if (words[1] === 'TRANSACTION') effects.push({ kind: 'next-transaction', sql: rebuild(tokens) });
  if (words[1] === 'ROLE') effects.push({ kind: 'role', sql: rebuild(tokens) });
  const assignments = assignmentsOf(tokens);
  for (const { variable, value } of assignments) {
    if (ONE_SHOT_VARIABLE.test(variable))
      effects.push({ kind: 'next-transaction', sql: `SET @@${variable} = ${rebuild(value)}` });
  }
  if (assignments.some(({ variable }) => TRACKER_VARIABLE.test(variable))) {
    const names = assignments.map(({ variable }) => variable.replace(/^(?:session|local)\./, ''));
    effects.push({
      kind: 'trackers',
      names: names.filter(
        (name) => /^[a-z]\w*$/.test(name) && !TRACKER_VARIABLE.test(name) && !ONE_SHOT_VARIABLE.test(name),
      ),
    });
  }
  for (const { variable, value } of assignments) effects.push(...effectsOfClock(variable, value));
  return effects;
}

const TIMESTAMP_PIN = 'timestamp set by an expression';
const ONE_TIME_PIN = 'a value for the next statement: ';

/** What the tracker reports of these is no value to set again: the time that it was, or nothing. */
function effectsOfClock(variable: string, value: SqlToken[]): StatementEffect[] {
  const name = variable.replace(/^(?:session|local)\./, '');
  if (/^(?:insert_id|rand_seed[12])$/.test(name)) return [{ kind: 'pin', key: ONE_TIME_PIN + name }];
  if (name !== 'timestamp') return [];
  const text = value.map((token) => token.text).join('');
  if (/^(?:DEFAULT|0+(?:\.0*)?)$/.test(text))
    return [{ kind: 'timestamp-default' }, { kind: 'unpin-prefix', prefix: TIMESTAMP_PIN }];
  // Whether the clock stands still after it cannot be told from the report.
  return /^\d+(?:\.\d*)?$/.test(text)
    ? [{ kind: 'unpin-prefix', prefix: TIMESTAMP_PIN }]
    : [{ kind: 'pin', key: TIMESTAMP_PIN }];
}

/** Only with `@@` and without a scope they rule one transaction; without `@@` they are the session's. */
const ONE_SHOT_VARIABLE = /^(?:transaction|tx)_(?:isolation|read_only)$/;
const TRACKER_VARIABLE = /^(?:(?:session|local)\.)?session_track_(?:system_variables|schema|state_change)$/;

interface Assignment {
  /** Lower case; `@@` alone is left out where the scope follows, and everything of it for a plain name. */
  variable: string;
  value: SqlToken[];
}

/** `a = 1, @@b = 2, SESSION c = 3`: system variables only; a word without `@@` is told by a leading `session.`. */
function assignmentsOf(tokens: SqlToken[]): Assignment[] {
  const assignments: Assignment[] = [];
  for (const piece of splitAtCommas(tokens.slice(1))) {
    const equals = piece.findIndex((token) => isSymbol(token, '='));
    const target = piece.slice(0, equals).findLast((token) => token.kind !== 'symbol');
    if (equals < 1 || target === undefined) continue;
    const isGlobal = piece[0]?.kind === 'word' && ['GLOBAL', 'PERSIST', 'PERSIST_ONLY'].includes(piece[0].text);
    if (isGlobal) continue;
    const value = piece.slice(equals + 1);
    if (target.kind === 'system-variable') assignments.push({ variable: target.text, value });
    else if (target.kind === 'word') assignments.push({ variable: `session.${target.text.toLowerCase()}`, value });
  }
  return assignments;
}
