import { ByteReader, MalformedPacketError } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { CAPABILITY, hasCapability } from './capabilities.ts';

/** The client's answer to the greeting. Source: MySQL internals, Protocol::HandshakeResponse41. */
export interface HandshakeResponse {
  capabilities: number;
  maxPacketBytes: number;
  collation: number;
  user: Buffer;
  authResponse: Buffer;
  database: Buffer | null;
  authPlugin: string | null;
  /** The key-value pairs as the client sent them, without their total length; null when there were none. */
  attributes: Buffer | null;
}

const FIXED_BYTES = 32;

/** True for the short packet after which the client begins with TLS. */
export function isSslRequest(payload: Buffer): boolean {
  return payload.length === FIXED_BYTES && (payload.readUInt32LE(0) & CAPABILITY.SSL) !== 0;
}

/** The 3.20 protocol has no PROTOCOL_41 flag: what health checkers of old send. */
export function isProtocol41(payload: Buffer): boolean {
  return payload.length >= 4 && (payload.readUInt16LE(0) & CAPABILITY.PROTOCOL_41) !== 0;
}

export function parseHandshakeResponse(payload: Buffer): HandshakeResponse {
  if (!isProtocol41(payload)) throw new MalformedPacketError('a client of before MySQL 4.1');
  const reader = new ByteReader(payload);
  const capabilities = reader.uint32();
  const maxPacketBytes = reader.uint32();
  // One byte by the book, of a filler that follows; clients with collations above 255 and newer servers use two.
  const collation = reader.uint16();
  reader.skip(22);
  const user = Buffer.from(reader.nulTerminated());
  const authResponse = Buffer.from(readAuthResponse(reader, capabilities));
  const hasDatabase = hasCapability(capabilities, CAPABILITY.CONNECT_WITH_DB) && reader.remaining > 0;
  const database = hasDatabase ? Buffer.from(reader.nulTerminated()) : null;
  const hasPlugin = hasCapability(capabilities, CAPABILITY.PLUGIN_AUTH) && reader.remaining > 0;
  const authPlugin = hasPlugin ? reader.nulTerminated().toString('latin1') : null;
  const hasAttributes = hasCapability(capabilities, CAPABILITY.CONNECT_ATTRS) && reader.remaining > 0;
  const attributes = hasAttributes ? Buffer.from(reader.lenencBytes()) : null;
  return {
    capabilities,
    maxPacketBytes,
    collation,
    user,
    authResponse,
    database: database === null || database.length === 0 ? null : database,
    authPlugin,
    attributes,
  };
}

function readAuthResponse(reader: ByteReader, capabilities: number): Buffer {
  if (hasCapability(capabilities, CAPABILITY.PLUGIN_AUTH_LENENC_CLIENT_DATA)) return reader.lenencBytes();
  if (hasCapability(capabilities, CAPABILITY.SECURE_CONNECTION)) return reader.bytes(reader.uint8());
  return reader.nulTerminated();
}

export function buildSslRequest({ capabilities, maxPacketBytes, collation }: HandshakeResponse): Buffer {
  return new ByteWriter().uint32(capabilities).uint32(maxPacketBytes).uint16(collation).zeros(22).toBuffer();
}

/** The flags decide which fields are written: the caller sets them to match. */
export function buildHandshakeResponse(response: HandshakeResponse): Buffer {
  const { capabilities, user, authResponse, database, authPlugin, attributes } = response;
  const writer = new ByteWriter().bytes(buildSslRequest(response)).nulTerminated(user);
  if (hasCapability(capabilities, CAPABILITY.PLUGIN_AUTH_LENENC_CLIENT_DATA)) writer.lenencBytes(authResponse);
  else writer.uint8(authResponse.length).bytes(authResponse);
  if (hasCapability(capabilities, CAPABILITY.CONNECT_WITH_DB)) writer.nulTerminated(database ?? Buffer.alloc(0));
  if (hasCapability(capabilities, CAPABILITY.PLUGIN_AUTH)) writer.nulTerminated(authPlugin ?? '');
  if (hasCapability(capabilities, CAPABILITY.CONNECT_ATTRS)) writer.lenencBytes(attributes ?? Buffer.alloc(0));
  return writer.toBuffer();
}
