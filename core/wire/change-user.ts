import { ByteReader } from './byte-reader.ts';
import { CAPABILITY, hasCapability } from './capabilities.ts';

/** Source: MySQL internals, COM_CHANGE_USER. */
export interface ChangeUser {
  user: Buffer;
  authResponse: Buffer;
  database: Buffer | null;
  /** Two bytes here, unlike in the handshake response. */
  collation: number | null;
  authPlugin: string | null;
  attributes: Buffer | null;
}

/** `payload` begins with the command byte. */
export function parseChangeUser(payload: Buffer, capabilities: number): ChangeUser {
  const reader = new ByteReader(payload, 1);
  const user = Buffer.from(reader.nulTerminated());
  const authResponse = Buffer.from(reader.bytes(reader.uint8()));
  const database = Buffer.from(reader.nulTerminated());
  const collation = reader.remaining >= 2 ? reader.uint16() : null;
  const hasPlugin = hasCapability(capabilities, CAPABILITY.PLUGIN_AUTH) && reader.remaining > 0;
  const authPlugin = hasPlugin ? reader.nulTerminated().toString('latin1') : null;
  const hasAttributes = hasCapability(capabilities, CAPABILITY.CONNECT_ATTRS) && reader.remaining > 0;
  const attributes = hasAttributes ? Buffer.from(reader.lenencBytes()) : null;
  return { user, authResponse, database: database.length === 0 ? null : database, collation, authPlugin, attributes };
}
