import type { Side } from '../core/phase.ts';
import type { Role } from '../core/routing-record.ts';
import { SERVER_STATUS } from '../core/wire/server-status.ts';
import { isSymbol } from './sql-pieces.ts';
import { sqlStatements, type SqlToken } from './sql-tokens.ts';
import { unescaped } from './statement-effects.ts';
import { narrowed, type Reading } from './statement-reading.ts';
import type { Router } from './router.ts';

/**
 * Replica traffic at a side that is not the primary's (`switched_replicas`): a write there would be on that side alone, and
 * nothing would tell (I2). The server itself refuses it, since only the server knows what a statement writes: the proxy keeps
 * `transaction_read_only` of the session ON, unknown to the session's state, which keeps what the client wants. A client that
 * turns it off (pools and frameworks do, at the end of each transaction of theirs) gets its OK, and it is turned on again
 * before its next command. What would make one transaction writable all the same is refused here, and a transaction that
 * the server says is writable ends its session. See ADR 26.
 */
export function refusesWrites({ record }: Pick<Router, 'record'>, role: Role, side: Side): boolean {
  return role === 'replica' && record !== null && record.primary !== side;
}

/** Whether the server says that what is open may write; null: it has not said anything since an error. */
export function isWritableTransaction(statusFlags: number | null): boolean {
  if (statusFlags === null) return false;
  const { IN_TRANSACTION, IN_READONLY_TRANSACTION } = SERVER_STATUS;
  return (statusFlags & IN_TRANSACTION) !== 0 && (statusFlags & IN_READONLY_TRANSACTION) === 0;
}

/** Few statements have any of it: only these are looked at more closely. */
const SUSPICIOUS = /read[^]*?write|_read_only/i;
const READ_ONLY_VARIABLE = /^(?:session\.|local\.)?(?:transaction|tx)_read_only$/i;

/**
 * Whether a text (as latin1) makes a transaction writable in which a statement could run before `transaction_read_only` is
 * turned on again: START TRANSACTION and SET TRANSACTION READ WRITE, SET STATEMENT, and what turns the variable off among other
 * statements; also in a text that PREPARE or EXECUTE IMMEDIATE has in quotes.
 */
export function makesWritable(sql: string, reading: Reading): boolean {
  if (!SUSPICIOUS.test(sql)) return false;
  const statements = sqlStatements(reading.hasWideCharacters ? narrowed(sql) : sql, reading.escapesByBackslash);
  return statements.some((tokens) => {
    const [first, second] = tokens;
    if (isWord(first, 'PREPARE') || isWord(first, 'EXECUTE'))
      return tokens.some((token) => token.kind === 'string' && makesWritable(unescaped(token.text, reading), reading));
    if (isWord(first, 'SET') && isWord(second, 'STATEMENT')) return tokens.some(isReadOnlyVariable);
    // The server reports it, and it is turned on again before anything else runs.
    const isSeen = statements.length === 1 && isWord(first, 'SET') && !isWord(second, 'TRANSACTION');
    return isSeen ? assigns(tokens, isNextTransaction) : saysReadWrite(tokens) || assigns(tokens, isReadOnlyVariable);
  });
}

/** In SQL the two stand side by side nowhere else. */
function saysReadWrite(tokens: SqlToken[]): boolean {
  return tokens.some((token, index) => isWord(token, 'READ') && isWord(tokens[index + 1], 'WRITE'));
}

function assigns(tokens: SqlToken[], matches: (token: SqlToken) => boolean): boolean {
  const isWritten = isWord(tokens[0], 'SET') || isWord(tokens[0], 'BEGIN');
  return isWritten && tokens.some((token, index) => matches(token) && isAssigned(tokens, index));
}

function isAssigned(tokens: SqlToken[], index: number): boolean {
  const [next, second] = [tokens[index + 1], tokens[index + 2]];
  if (next === undefined) return false;
  return isSymbol(next, '=') || (isSymbol(next, ':') && second !== undefined && isSymbol(second, '='));
}

/** With `@@` and without a scope it is that of the next transaction. */
function isNextTransaction(token: SqlToken): boolean {
  return token.kind === 'system-variable' && /^(?:transaction|tx)_read_only$/.test(token.text);
}

function isReadOnlyVariable(token: SqlToken): boolean {
  return token.kind !== 'string' && READ_ONLY_VARIABLE.test(token.text);
}

function isWord(token: SqlToken | undefined, text: string): boolean {
  return token?.kind === 'word' && token.text === text;
}
