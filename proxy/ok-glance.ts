import { SERVER_STATUS } from '../core/wire/server-status.ts';

/** What most OK packets say: that a statement ran, and nothing about the session. */
export interface OkGlance {
  statusFlags: number;
  affectedRows: number;
  warnings: number;
  /** How many of its bytes are left without the trackers' block; null where there was none. */
  strippedBytes: number | null;
}

const STATEMENT_ID: readonly number[] = [...Buffer.from('statement_id')];
const FIXED_BYTES = 7;

/**
 * Reads an OK packet that changes nothing of the session, without decoding it whole; null for any other. With
 * session_track_system_variables='*' MySQL reports its `statement_id` in every OK packet: that alone is no change.
 */
export function glanceAtOk(payload: Buffer): OkGlance | null {
  // Only one-byte counts of rows, and no generated id.
  if (payload.length < FIXED_BYTES || payload.readUInt8(1) >= 0xfb || payload.readUInt8(2) !== 0) return null;
  const statusFlags = payload.readUInt16LE(3);
  const affectedRows = payload.readUInt8(1);
  const warnings = payload.readUInt16LE(5);
  if ((statusFlags & SERVER_STATUS.SESSION_STATE_CHANGED) === 0)
    return { statusFlags, affectedRows, warnings, strippedBytes: null };
  const messageLength = payload[FIXED_BYTES] ?? 0xff;
  const block = FIXED_BYTES + 1 + messageLength;
  if (messageLength >= 0xfb || !isStatementIdAlone(payload, block)) return null;
  return { statusFlags, affectedRows, warnings, strippedBytes: messageLength === 0 ? FIXED_BYTES : block };
}

/** Length of all, type 0, length, name with its length, and nothing after the value. */
function isStatementIdAlone(payload: Buffer, block: number): boolean {
  const length = payload[block] ?? 0xff;
  return (
    length < 0xfb &&
    payload.length === block + 1 + length &&
    payload[block + 1] === 0 &&
    payload[block + 2] === length - 2 &&
    payload[block + 3] === STATEMENT_ID.length &&
    // Byte by byte: a call of Buffer.compare costs more than all of the above.
    STATEMENT_ID.every((byte, index) => payload[block + 4 + index] === byte)
  );
}

/** The status flags of an OK packet that lost its block no longer announce a change. */
export function clearChangeFlag(payload: Buffer, statusFlags: number): void {
  payload.writeUInt16LE(statusFlags & ~SERVER_STATUS.SESSION_STATE_CHANGED, 3);
}
