import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Role } from '../core/routing-record.ts';
import { MalformedPacketError } from '../core/wire/byte-reader.ts';
import { CAPABILITY, combine, hasCapability, without } from '../core/wire/capabilities.ts';
import { buildHandshake } from '../core/wire/handshake.ts';
import {
  isProtocol41,
  isSslRequest,
  parseHandshakeResponse,
  type HandshakeResponse,
} from '../core/wire/handshake-response.ts';
import type { ClientAddress } from '../core/wire/proxy-header.ts';
import { newScramble } from '../core/wire/scramble.ts';
import { SERVER_STATUS } from '../core/wire/server-status.ts';
import { CAPTURE_PLUGIN, authenticateClient } from './client-authentication.ts';
import { CLIENT_ERROR, ClientError } from './client-error.ts';
import type { Compression } from './compressed-stream.ts';
import type { CredentialCache } from './credentials.ts';
import type { LoginProfile } from './backend-connection.ts';
import { MessageStream } from './message-stream.ts';
import { splitRoleSuffix } from './role-suffix.ts';
import type { ServerIdentity } from './server-identity.ts';
import type { TlsMaterial } from './tls-material.ts';
import type { UserDirectory } from './user-directory.ts';

export interface ClientLoginOptions {
  socket: Socket;
  client: ClientAddress | null;
  connectionId: number;
  identity: ServerIdentity;
  tls: TlsMaterial;
  tlsRequired: boolean;
  cache: CredentialCache;
  users: UserDirectory;
  /** Throws a ClientError where nobody can be let in now; asked once the client is known to speak MySQL. */
  admit: () => void;
}

export interface ClientLogin {
  /** Waits for our OK or ERR. */
  stream: MessageStream;
  profile: LoginProfile;
  database: Buffer | null;
  /** Chosen with a suffix of the database's name; null: the listener decides. */
  role: Role | null;
  isSecure: boolean;
  /** What follows our OK is packed. */
  compression: Compression | null;
  /** What the greeting said. */
  identity: ServerIdentity;
}

const HANDSHAKE_BYTES_MAX = 1 << 20;

/** Flags that rule our own connection with the client and mean nothing to the server. */
const OWN_FLAGS = combine(CAPABILITY.SSL, CAPABILITY.COMPRESS, CAPABILITY.ZSTD_COMPRESSION_ALGORITHM);

/**
 * Greets a client and learns who it is. `onStream` tells which stream answers now, so that an error finds its way also
 * after the change to TLS. Rejects with ClientError for what the client should read.
 */
export async function logInClient(
  options: ClientLoginOptions,
  onStream: (stream: MessageStream) => void,
): Promise<ClientLogin> {
  const { socket, connectionId, identity, tls, cache } = options;
  const scramble = newScramble();
  let stream = new MessageStream(socket, { maxBytes: HANDSHAKE_BYTES_MAX, checksSequence: true });
  onStream(stream);
  const { serverVersion, capabilities, collation } = identity;
  const statusFlags = SERVER_STATUS.AUTOCOMMIT;
  stream.write(
    buildHandshake({
      serverVersion,
      connectionId,
      scramble,
      capabilities,
      collation,
      statusFlags,
      authPlugin: CAPTURE_PLUGIN,
    }),
  );
  let payload = await stream.next();
  const wantsTls = isSslRequest(payload);
  if (wantsTls) {
    stream = startTls(stream, tls);
    onStream(stream);
    payload = await stream.next();
  }
  options.admit();
  // What goes through a unix socket does not leave the machine.
  const isSecure = wantsTls || options.client === null;
  if (!isSecure && options.tlsRequired) throw new ClientError(CLIENT_ERROR.tlsRequired());
  const { response, compression } = parseResponse(payload, capabilities);
  const { user, authPlugin, authResponse } = response;
  const { credentials, serverLogin } = await authenticateClient({
    stream,
    user,
    plugin: authPlugin,
    response: authResponse,
    scramble,
    isSecure,
    rsa: tls.rsa,
    cache,
    users: options.users,
  });
  const { database, role } = splitRoleSuffix(response.database ?? Buffer.alloc(0));
  const { maxPacketBytes, attributes } = response;
  const profile = {
    credentials,
    serverLogin,
    client: options.client,
    capabilities: response.capabilities,
    maxPacketBytes,
    collation: response.collation,
    attributes,
  };
  return { stream, profile, database, role, isSecure, compression, identity };
}

/** Clients may set flags that were not offered: those do not count. */
function parseResponse(
  payload: Buffer,
  offered: number,
): { response: HandshakeResponse; compression: Compression | null } {
  if (payload.length < 4) throw new ClientError(CLIENT_ERROR.badHandshake());
  if (!isProtocol41(payload)) throw new ClientError(CLIENT_ERROR.oldClient());
  try {
    const response = parseHandshakeResponse(payload);
    const agreed = response.capabilities & offered;
    return { response: { ...response, capabilities: without(agreed, OWN_FLAGS) }, compression: compressionOf(agreed) };
  } catch (cause) {
    if (!(cause instanceof MalformedPacketError)) throw cause;
    throw new ClientError(CLIENT_ERROR.badHandshake(), { cause });
  }
}

/** With both, zlib is used: so do server and clients. */
function compressionOf(capabilities: number): Compression | null {
  if (hasCapability(capabilities, CAPABILITY.COMPRESS)) return 'zlib';
  return hasCapability(capabilities, CAPABILITY.ZSTD_COMPRESSION_ALGORITHM) ? 'zstd' : null;
}

/** The ClientHello may have come in the same segment as the request for TLS: it goes back into the socket first. */
function startTls(plain: MessageStream, { secureContext }: TlsMaterial): MessageStream {
  const rest = plain.detach();
  if (rest.length > 0) plain.socket.unshift(rest);
  const secure = new TLSSocket(plain.socket, { isServer: true, secureContext });
  // The request for TLS had sequence 1, and the response within TLS goes on with 2.
  return new MessageStream(secure, { maxBytes: HANDSHAKE_BYTES_MAX, sequence: 1, checksSequence: true });
}
