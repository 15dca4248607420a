import type { OwnError } from './client-error.ts';
import type { PreparedStatement } from './prepared-statements.ts';
import type { KillRequest } from './session-kill.ts';

/** What the session does with a command that may go on. */
export type CommandDecision =
  /** To the server, as it came or rewritten; `isAnswered` is false for the commands without a response. */
  | { kind: 'forward'; packet: Buffer; isAnswered: boolean }
  /** Answered here: it cannot be passed on. */
  | { kind: 'refuse'; error: OwnError }
  | { kind: 'kill'; request: KillRequest }
  | { kind: 'change-user'; payload: Buffer }
  | { kind: 'quit' };

/** What the session does on the server before a command. */
export type Errand =
  /** It has not told yet what a statement did that failed. */
  | { kind: 'report' }
  /** The statement could not be prepared when the session came to this server. */
  | { kind: 'prepare'; statement: PreparedStatement }
  /** The same, of SQL's PREPARE. */
  | { kind: 'prepare-text'; name: string };
