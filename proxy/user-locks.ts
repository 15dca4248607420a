import { isSymbol } from './sql-pieces.ts';
import type { SqlToken } from './sql-tokens.ts';
import type { StatementEffect } from './statement-effects.ts';

/**
 * GET_LOCK and its kin. Texts do not tell how often they run (in a row, in a branch), so they only say which names to ask the
 * server for: a session stays until the server says that it holds none of them. Locks whose names cannot be told are
 * gone for certain only with RELEASE_ALL_LOCKS or a reset.
 */
const USER_LOCK_PIN = 'user lock ';
const UNNAMED = '(named by an expression)';

export function userLockPin(name: string | null): string {
  return USER_LOCK_PIN + (name ?? UNNAMED);
}

/** Those that the server can be asked for, of the reasons why a session stays. */
export function askedLocks(pins: readonly string[]): string[] {
  const names = pins.filter((pin) => pin.startsWith(USER_LOCK_PIN)).map((pin) => pin.slice(USER_LOCK_PIN.length));
  return names.filter((name) => name !== UNNAMED);
}

/** One row, in the order of the names: 1 where this connection holds the lock. */
export function askForLocksSql(names: readonly string[]): string {
  const columns = names.map(
    (name) => `IS_USED_LOCK(_utf8mb4 X'${Buffer.from(name, 'latin1').toString('hex')}') <=> CONNECTION_ID()`,
  );
  return `SELECT ${columns.join(', ')}`;
}

/** Null: its reading may be another one later, or it is longer than names may be. */
function plainLockName(text: string): string | null {
  return PLAIN_NAME.test(text) ? text : null;
}

const PLAIN_NAME = /^[\x20-\x26\x28-\x5b\x5d-\x7e]{1,64}$/;

/** GET_LOCK(?, …) with what is bound, asked for where that is so. */
export function withLockName(
  effects: readonly StatementEffect[],
  bound: () => string | null,
): readonly StatementEffect[] {
  if (!effects.some(isNamedByParameter)) return effects;
  const text = bound();
  const name = text === null ? null : plainLockName(text);
  return effects.map((effect) => (isNamedByParameter(effect) ? { ...effect, name } : effect));
}

function isNamedByParameter(effect: StatementEffect): effect is StatementEffect & { kind: 'user-lock' } {
  return effect.kind === 'user-lock' && effect.isFirstParameter;
}

/** `name` is that of the function at `index`. */
export function effectOfLockFunction(name: string, tokens: SqlToken[], index: number): StatementEffect | null {
  switch (name) {
    case 'GET_LOCK':
      return { kind: 'user-lock', ...lockNamed(tokens, index + 2) };
    case 'RELEASE_LOCK':
      return { kind: 'releases-locks' };
    case 'RELEASE_ALL_LOCKS':
      return releasesAll(tokens) ? { kind: 'unpin-prefix', prefix: USER_LOCK_PIN } : { kind: 'releases-locks' };
    default:
      return null;
  }
}

function lockNamed(tokens: SqlToken[], at: number): { name: string | null; isFirstParameter: boolean } {
  const [token, next] = [tokens[at], tokens[at + 1]];
  const isAlone = next !== undefined && isSymbol(next, ',');
  if (token === undefined || !isAlone) return { name: null, isFirstParameter: false };
  const isFirstParameter = isSymbol(token, '?') && !tokens.slice(0, at).some((other) => isSymbol(other, '?'));
  // A column, where names stand in double quotes.
  const mayBeColumn = token.kind === 'string' && token.inDoubleQuotes === true && tokens.some(isFrom);
  return { name: token.kind === 'string' && !mayBeColumn ? plainLockName(token.text) : null, isFirstParameter };
}

function isFrom(token: SqlToken): boolean {
  return token.kind === 'word' && token.text === 'FROM';
}

/** It and nothing else, so that it ran: `SELECT RELEASE_ALL_LOCKS() AS a`. */
function releasesAll(tokens: SqlToken[]): boolean {
  const [verb, , open, close, ...alias] = tokens;
  const isCall = open !== undefined && isSymbol(open, '(') && close !== undefined && isSymbol(close, ')');
  const isVerb = verb?.kind === 'word' && (verb.text === 'SELECT' || verb.text === 'DO');
  const names = alias[0]?.kind === 'word' && alias[0].text === 'AS' ? alias.slice(1) : alias;
  return isVerb && isCall && names.length <= 1 && names.every(({ kind }) => kind === 'word' || kind === 'quoted-name');
}
