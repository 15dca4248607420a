import { COMMAND } from '../core/wire/command.ts';
import type { Kept } from './diagnostics-reading.ts';
import type { PreparedStatement } from './prepared-statements.ts';
import { errorOfWritten, type Rewritten } from './shown-error.ts';
import { errorIn, type CommandOutcome } from './statement-diagnostics.ts';
import type { StatementEffect } from './statement-effects.ts';
import { NO_STATEMENT } from './statement-packets.ts';

/** What is known of the command that the server carries out. */
export interface RunningCommand {
  command: number;
  effects: readonly StatementEffect[];
  statement: PreparedStatement | null;
  /** Of COM_QUERY. */
  sql: string | null;
  /** What was sent in its stead. */
  rewritten: Rewritten | null;
  /** Of a PREPARE. */
  text: Buffer | null;
  /** Of an ERR packet, the payload. */
  error: Buffer | null;
  warnings: number;
  /** As ROW_COUNT() has it; null: the answer does not tell. */
  rowCount: bigint | null;
  /** Of what the server remembers of the statement before. */
  kept: Kept;
  /** Of a statement that there is not. */
  unknownId: number | null;
  /** It may call something, and its rows may end with an EOF packet. */
  mayChangeState: boolean;
}

/** Other commands leave a server's list of warnings as it is, or add to it. */
const STATEMENT_COMMANDS: ReadonlySet<number> = new Set([COMMAND.QUERY, COMMAND.STMT_EXECUTE, COMMAND.STMT_PREPARE]);

const COUNTING_COMMANDS: ReadonlySet<number> = new Set([...STATEMENT_COMMANDS, COMMAND.STMT_FETCH, COMMAND.STMT_RESET]);

/** What it leaves to be asked for. */
export function outcomeOf({
  command,
  effects,
  error,
  warnings,
  rowCount,
  kept,
  unknownId,
}: RunningCommand): CommandOutcome {
  return {
    // Of an unknown one it is not even begun.
    isStatement: STATEMENT_COMMANDS.has(command) && unknownId === null,
    countsAnew: COUNTING_COMMANDS.has(command),
    error: error === null ? null : errorIn(error),
    warnings,
    rowCount: kept.rowCount && command === COMMAND.QUERY ? null : rowCount,
    countsFoundRows: effects.some(({ kind }) => kind === 'found-rows'),
    kept,
  };
}

const SYNTAX_ERROR = 1064;

/** The server's list shows another text than the client's then. */
export function failedRewritten(command: RunningCommand, error: Buffer): boolean {
  return command.rewritten !== null && error.length > 2 && error.readUInt16LE(1) === SYNTAX_ERROR;
}

/** An ERR packet as the client is to see it, with what it knows: its text, its numbers of statements. Null: as it came. */
export function toldError(payload: Buffer, command: RunningCommand): Buffer | null {
  const { sql, rewritten, unknownId, statement } = command;
  if (sql !== null && rewritten !== null && failedRewritten(command, payload))
    return Buffer.from(errorOfWritten(payload.toString('latin1'), sql, rewritten), 'latin1');
  if (unknownId !== null) return withNumber(payload, NO_STATEMENT, unknownId);
  const isNamed = command.command === COMMAND.STMT_FETCH && statement !== null;
  return isNamed ? withNumber(payload, statement.backendId ?? NO_STATEMENT, statement.clientId) : null;
}

/** An ERR packet that names a statement by the number that was sent. */
function withNumber(payload: Buffer, sent: number, known: number): Buffer {
  return Buffer.from(payload.toString('latin1').replace(`(${sent})`, `(${known})`), 'latin1');
}
