import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { SERVER_STATUS } from './server-status.ts';

export const OK_HEADER = 0x00;
export const EOF_HEADER = 0xfe;

/** Source: MySQL internals, OK_Packet, as it is between peers that both have PROTOCOL_41 and SESSION_TRACK. */
export interface OkPacket {
  header: number;
  affectedRows: bigint;
  lastInsertId: bigint;
  statusFlags: number;
  warnings: number;
  message: Buffer;
  /** The trackers' block, null without SESSION_STATE_CHANGED. */
  stateChanges: Buffer | null;
}

export function parseOk(payload: Buffer): OkPacket {
  const reader = new ByteReader(payload);
  const header = reader.uint8();
  const affectedRows = reader.lenencBig();
  const lastInsertId = reader.lenencBig();
  const statusFlags = reader.uint16();
  const warnings = reader.uint16();
  const message = reader.remaining > 0 ? reader.lenencBytes() : Buffer.alloc(0);
  const hasChanges = (statusFlags & SERVER_STATUS.SESSION_STATE_CHANGED) !== 0 && reader.remaining > 0;
  return {
    header,
    affectedRows,
    lastInsertId,
    statusFlags,
    warnings,
    message,
    stateChanges: hasChanges ? reader.lenencBytes() : null,
  };
}

export function buildOk(ok: Partial<OkPacket>): Buffer {
  const { header = OK_HEADER, affectedRows = 0n, lastInsertId = 0n, statusFlags = 0, warnings = 0 } = ok;
  const { message = Buffer.alloc(0), stateChanges = null } = ok;
  const flags = stateChanges === null ? statusFlags & ~SERVER_STATUS.SESSION_STATE_CHANGED : statusFlags;
  const writer = new ByteWriter()
    .uint8(header)
    .lenenc(affectedRows)
    .lenenc(lastInsertId)
    .uint16(flags)
    .uint16(warnings);
  if (message.length > 0 || stateChanges !== null) writer.lenencBytes(message);
  if (stateChanges !== null) writer.lenencBytes(stateChanges);
  return writer.toBuffer();
}

/** The status flags of an OK packet without decoding the rest: read for every result set. */
export function statusFlagsOfOk(payload: Buffer): number {
  // Both integers are nearly always one byte.
  if (payload.length >= 5 && payload.readUInt8(1) < 0xfb && payload.readUInt8(2) < 0xfb) return payload.readUInt16LE(3);
  const reader = new ByteReader(payload, 1);
  reader.lenencBig();
  reader.lenencBig();
  return reader.uint16();
}

export function buildEof(statusFlags: number, warnings = 0): Buffer {
  return new ByteWriter().uint8(EOF_HEADER).uint16(warnings).uint16(statusFlags).toBuffer();
}

/** Where an EOF packet has them, 16 bits each. Source: MySQL internals, EOF_Packet. */
export const EOF_WARNINGS = 1;
export const EOF_FLAGS = 3;

export function warningsOfEof(payload: Buffer): number {
  return payload.length >= EOF_WARNINGS + 2 ? payload.readUInt16LE(EOF_WARNINGS) : 0;
}

export function statusFlagsOfEof(payload: Buffer): number {
  return payload.length >= EOF_FLAGS + 2 ? payload.readUInt16LE(EOF_FLAGS) : 0;
}
