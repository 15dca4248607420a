import { ByteReader, MalformedPacketError } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { CAPABILITY, hasCapability } from './capabilities.ts';
import { SCRAMBLE_BYTES } from './scramble.ts';

/** The server's greeting. Source: MySQL internals, Protocol::HandshakeV10; MariaDB knowledge base, "Connecting". */
export interface Handshake {
  serverVersion: string;
  connectionId: number;
  scramble: Buffer;
  capabilities: number;
  collation: number;
  statusFlags: number;
  authPlugin: string;
  isMariaDb: boolean;
}

export function parseHandshake(payload: Buffer): Handshake {
  const reader = new ByteReader(payload);
  const protocol = reader.uint8();
  if (protocol !== 10) throw new MalformedPacketError(`handshake protocol ${protocol}, not 10`);
  const serverVersion = reader.nulTerminated().toString('latin1');
  const connectionId = reader.uint32();
  const scrambleStart = reader.bytes(8);
  reader.skip(1);
  let capabilities = reader.uint16();
  const collation = reader.remaining > 0 ? reader.uint8() : 8;
  const statusFlags = reader.remaining > 0 ? reader.uint16() : 0;
  if (reader.remaining > 0) capabilities = (capabilities | (reader.uint16() << 16)) >>> 0;
  const scrambleLength = reader.remaining > 0 ? reader.uint8() : 0;
  if (reader.remaining >= 10) reader.skip(10);
  const restLength = Math.min(reader.remaining, Math.max(13, scrambleLength - 8));
  const scrambleRest = reader.bytes(restLength).subarray(0, SCRAMBLE_BYTES - 8);
  const authPlugin = hasCapability(capabilities, CAPABILITY.PLUGIN_AUTH)
    ? reader.nulTerminated().toString('latin1')
    : 'mysql_native_password';
  return {
    // MariaDB before 11 writes 5.5.5- before its version for the sake of old replicas.
    serverVersion: serverVersion.replace(/^5\.5\.5-(?=\d+\.\d+\.\d+-mariadb)/i, ''),
    connectionId,
    scramble: Buffer.concat([scrambleStart, scrambleRest]),
    capabilities,
    collation,
    statusFlags,
    authPlugin,
    isMariaDb: /mariadb/i.test(serverVersion),
  };
}

export function buildHandshake(handshake: Omit<Handshake, 'isMariaDb'>): Buffer {
  const { serverVersion, connectionId, scramble, capabilities, collation, statusFlags, authPlugin } = handshake;
  return new ByteWriter()
    .uint8(10)
    .nulTerminated(serverVersion)
    .uint32(connectionId)
    .bytes(scramble.subarray(0, 8))
    .uint8(0)
    .uint16(capabilities & 0xffff)
    .uint8(collation)
    .uint16(statusFlags)
    .uint16(capabilities >>> 16)
    .uint8(SCRAMBLE_BYTES + 1)
    .zeros(10)
    .bytes(scramble.subarray(8))
    .uint8(0)
    .nulTerminated(authPlugin)
    .toBuffer();
}
