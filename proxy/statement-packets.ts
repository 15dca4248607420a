import { COMMAND } from '../core/wire/command.ts';
import { HEADER_BYTES, MAX_PAYLOAD_BYTES } from '../core/wire/packet.ts';
import { CLIENT_ERROR, type OwnError } from './client-error.ts';
import { withParameterTypes, type ExecuteLayout, type PreparedStatement } from './prepared-statements.ts';

/** With command, statement, flags, iterations; the number of rows; parameter; alone. Source: MySQL internals, "Prepared Statements". */
const BYTES_MIN: ReadonlyMap<number, number> = new Map([
  [COMMAND.STMT_EXECUTE, 10],
  [COMMAND.STMT_FETCH, 9],
  [COMMAND.STMT_RESET, 5],
  [COMMAND.STMT_CLOSE, 5],
  [COMMAND.STMT_SEND_LONG_DATA, 7],
]);

/** A command of the binary protocol that servers answer with an error: also those that have no answer else. */
export function isTooShort(command: number, payload: Buffer): boolean {
  return payload.length < (BYTES_MIN.get(command) ?? 0);
}

/** Servers count from 1, and say nothing to these commands for a statement that they do not have. */
export const NO_STATEMENT = 0;

/** What the server said to the attempt to prepare it; the next one asks again. */
export function takeRefusal(statement: PreparedStatement): OwnError {
  const { refusal } = statement;
  statement.refusal = null;
  return refusal === null || statement.hasLongData ? CLIENT_ERROR.statementLost() : refusal;
}

/** Binds the types that the server has not heard, where the client told them once; null: they do not fit. */
export function executePacket(packet: Buffer, statement: PreparedStatement, layout: ExecuteLayout): Buffer | null {
  const { boundFlagOffset, types } = layout;
  if (types !== null) {
    if (statement.parameterTypes?.equals(types) !== true) statement.parameterTypes = Buffer.from(types);
    return packet;
  }
  if (boundFlagOffset === null || statement.typesKnown || statement.parameterTypes === null) return packet;
  const payload = packet.subarray(HEADER_BYTES);
  const rewritten = withParameterTypes(payload, boundFlagOffset, statement.parameterTypes);
  const length = packet.readUIntLE(0, 3) + rewritten.length - payload.length;
  // One in millions: the types would not fit into the packet, and its rest is not here yet.
  if (length >= MAX_PAYLOAD_BYTES) return null;
  const sent = Buffer.concat([packet.subarray(0, HEADER_BYTES), rewritten]);
  sent.writeUIntLE(length, 0, 3);
  return sent;
}
