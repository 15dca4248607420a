import { SERVER_STATUS } from '../core/wire/server-status.ts';

/** What most OK packets say: that a statement ran, and nothing about the session. */
export interface OkGlance {
  statusFlags: number;
  affectedRows: number;
  warnings: number;
  /** Without the trackers' block; null where there was none. */
  stripped: Buffer | null;
}

const STATEMENT_ID = Buffer.from('statement_id');
const FIXED_BYTES = 7;

/**
 * Reads an OK packet that changes nothing of the session, without decoding it whole; null for any other. With
 * session_track_system_variables='*' MySQL reports its `statement_id` in every OK packet: that alone is no change.
 * `stripped` shares the bytes of `payload`.
 */
export function glanceAtOk(payload: Buffer): OkGlance | null {
  // Only one-byte counts of rows, and no generated id.
  if (payload.length < FIXED_BYTES || payload.readUInt8(1) >= 0xfb || payload.readUInt8(2) !== 0) return null;
  const statusFlags = payload.readUInt16LE(3);
  const affectedRows = payload.readUInt8(1);
  const warnings = payload.readUInt16LE(5);
  if ((statusFlags & SERVER_STATUS.SESSION_STATE_CHANGED) === 0)
    return { statusFlags, affectedRows, warnings, stripped: null };
  const messageLength = payload[FIXED_BYTES] ?? 0xff;
  const block = FIXED_BYTES + 1 + messageLength;
  if (messageLength >= 0xfb || !isStatementIdAlone(payload, block)) return null;
  const stripped = payload.subarray(0, messageLength === 0 ? FIXED_BYTES : block);
  return { statusFlags, affectedRows, warnings, stripped };
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
    payload.compare(STATEMENT_ID, 0, STATEMENT_ID.length, block + 4, block + 4 + STATEMENT_ID.length) === 0
  );
}

/** The status flags of `stripped` no longer announce a change. */
export function withoutChangeFlag(stripped: Buffer, statusFlags: number): Buffer {
  stripped.writeUInt16LE(statusFlags & ~SERVER_STATUS.SESSION_STATE_CHANGED, 3);
  return stripped;
}
