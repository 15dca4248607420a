import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';

/** Source: MySQL internals, ERR_Packet. */
export interface ErrPacket {
  code: number;
  sqlState: string;
  message: string;
}

export const ERR_HEADER = 0xff;

export function parseErr(payload: Buffer): ErrPacket {
  const reader = new ByteReader(payload, 1);
  const code = reader.uint16();
  const rest = reader.rest();
  // Before the client's capabilities are known (1040 at connecting) there is no state.
  if (rest[0] !== 0x23) return { code, sqlState: 'HY000', message: rest.toString('utf8') };
  return { code, sqlState: rest.toString('latin1', 1, 6), message: rest.toString('utf8', 6) };
}

export function buildErr({ code, sqlState, message }: ErrPacket): Buffer {
  return new ByteWriter().uint8(ERR_HEADER).uint16(code).text(`#${sqlState}`).text(message).toBuffer();
}

/** An error in place of the greeting: the client's capabilities are unknown, so there is no state in it. */
export function buildErrBeforeHandshake({ code, message }: ErrPacket): Buffer {
  return new ByteWriter().uint8(ERR_HEADER).uint16(code).text(message).toBuffer();
}
