import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { SCRAMBLE_BYTES } from './scramble.ts';

/** First bytes of the server's messages in the authentication phase. */
export const AUTH_MESSAGE = { OK: 0x00, MORE_DATA: 0x01, SWITCH: 0xfe, ERROR: 0xff } as const;

/** What follows MORE_DATA in caching_sha2_password, and what a client answers. Source: "Caching_sha2_password information". */
export const CACHING_SHA2 = { FAST_SUCCESS: 0x03, FULL_AUTHENTICATION: 0x04, REQUEST_PUBLIC_KEY: 0x02 } as const;
/** sha256_password asks for the key with another byte. */
export const SHA256_REQUEST_PUBLIC_KEY = 0x01;

const NOTHING = Buffer.alloc(0);

export interface AuthSwitch {
  plugin: string;
  /** What most plugins take, 20 bytes. */
  scramble: Buffer;
}

/** As the server sent it: some of MariaDB's plugins take more. */
export interface ReceivedAuthSwitch extends AuthSwitch {
  data: Buffer;
}

export function buildAuthSwitch({ plugin, scramble }: AuthSwitch): Buffer {
  return new ByteWriter().uint8(AUTH_MESSAGE.SWITCH).nulTerminated(plugin).bytes(scramble).uint8(0).toBuffer();
}

/** A lone 0xFE is the request of MySQL before 5.5 to use the 3.20 scramble, told as `mysql_old_password`. */
export function parseAuthSwitch(payload: Buffer): ReceivedAuthSwitch {
  if (payload.length === 1) return { plugin: 'mysql_old_password', scramble: NOTHING, data: NOTHING };
  const reader = new ByteReader(payload, 1);
  const plugin = reader.nulTerminated().toString('latin1');
  const data = Buffer.from(reader.rest());
  return { plugin, scramble: data.subarray(0, SCRAMBLE_BYTES), data };
}

export function buildMoreData(data: Buffer): Buffer {
  return Buffer.concat([Buffer.of(AUTH_MESSAGE.MORE_DATA), data]);
}
