import { isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import type { Side } from '../core/phase.ts';
import { buildProxyHeader, type ClientAddress } from '../core/wire/proxy-header.ts';
import type { Endpoint } from '../core/routing-record.ts';
import { CAPABILITY, combine, hasCapability, without } from '../core/wire/capabilities.ts';
import { parseErr } from '../core/wire/err-packet.ts';
import { parseHandshake, type Handshake } from '../core/wire/handshake.ts';
import { SERVER_STATUS } from '../core/wire/server-status.ts';
import { buildHandshakeResponse, buildSslRequest, type HandshakeResponse } from '../core/wire/handshake-response.ts';
import {
  finishBackendAuthentication,
  firstAuthResponse,
  relayBackendAuthentication,
} from './backend-authentication.ts';
import { CLIENT_ERROR, ClientError } from './client-error.ts';
import type { Credentials } from './credentials.ts';
import type { ClientCertificate } from './tls-material.ts';
import type { ServerLogin } from './user-directory.ts';
import { ConnectionLostError, MessageStream } from './message-stream.ts';
import { registerBackend } from './open-backends.ts';
import { keepSession, resumableSession } from './tls-sessions.ts';
import { startStallProofTimer } from './stall-proof-timer.ts';
import { readLastWords } from './last-words.ts';
import { connectWire } from './wire-socket.ts';

/** A server's address together with the side that it belongs to. */
export interface Destination {
  side: Side;
  endpoint: Endpoint;
  /** Ours, for a server that asks for one. */
  clientCertificate?: ClientCertificate | undefined;
  /** The server takes a PROXY protocol header. */
  wantsProxyHeader?: boolean;
}

export function isSameDestination(one: Destination, other: Destination): boolean {
  return (
    one.side === other.side && one.endpoint.host === other.endpoint.host && one.endpoint.port === other.endpoint.port
  );
}

/** How the client logged in: the login on its behalf is the same in everything the server may look at. */
export interface LoginProfile {
  credentials: Credentials;
  serverLogin: ServerLogin;
  /** Where the client connects from; null for a unix socket. */
  client: ClientAddress | null;
  capabilities: number;
  maxPacketBytes: number;
  collation: number;
  attributes: Buffer | null;
}

/** What the proxy logs in with there. */
export function credentialsOn({ serverLogin, credentials }: LoginProfile, side: Side): Credentials {
  return serverLogin.kind === 'listed' ? serverLogin.sides[side] : credentials;
}

const CONNECT_TIMEOUT_MS = 5000;
const GREETING_BYTES_MAX = 1 << 20;
/** Own statements read back session state: as large as a user variable can be. */
const ANSWER_BYTES_MAX = 1 << 28;

/** One connection to a database server, logged in as the client. Owned by one session. */
export class BackendConnection {
  readonly destination: Destination;
  readonly capabilities: number;
  readonly serverVersion: string;
  readonly isMariaDb: boolean;
  readonly connectionId: number;
  readonly socket: Duplex;
  /** False where the server refused to turn them on: nothing is known of such a session. */
  hasTrackers = true;
  /** As a new session has it there. */
  loginStatusFlags: number = SERVER_STATUS.AUTOCOMMIT;
  #stream: MessageStream | undefined;

  private constructor(destination: Destination, { handshake, capabilities, stream }: Opened) {
    this.destination = destination;
    this.capabilities = capabilities;
    this.serverVersion = handshake.serverVersion;
    this.isMariaDb = handshake.isMariaDb;
    this.connectionId = handshake.connectionId;
    this.socket = stream.socket;
    stream.detach();
    this.socket.on('error', () => this.socket.destroy());
  }

  /** Rejects with ClientError: the server's own refusal, or that it cannot be reached. */
  static async open(
    destination: Destination,
    profile: LoginProfile,
    database: Buffer | null,
  ): Promise<BackendConnection> {
    const { host, port } = destination.endpoint;
    try {
      return new BackendConnection(destination, await logIn(destination, profile, database));
    } catch (cause) {
      if (cause instanceof ClientError) throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new ClientError(CLIENT_ERROR.unreachable(`${host}:${port}`, why), { cause });
    }
  }

  get isOpen(): boolean {
    return !this.socket.destroyed && this.socket.writable;
  }

  /** For our own statements; the relay must not read meanwhile. */
  stream(): MessageStream {
    this.#stream ??= new MessageStream(this.socket, { maxBytes: ANSWER_BYTES_MAX });
    return this.#stream;
  }

  /** Ends the use of `stream`. Bytes left over are an error that the server sent unasked. */
  releaseStream(): Buffer {
    const rest = this.#stream?.detach() ?? Buffer.alloc(0);
    this.#stream = undefined;
    return rest;
  }

  /** COM_QUIT and the end: the server frees what the session held at once. */
  quit(): void {
    if (this.socket.destroyed) return;
    this.socket.removeAllListeners('data');
    this.socket.resume();
    this.socket.end(Buffer.of(1, 0, 0, 0, 1));
    const timer = setTimeout(() => this.socket.destroy(), 2000);
    timer.unref();
    this.socket.once('close', () => clearTimeout(timer));
  }

  destroy(): void {
    this.socket.destroy();
  }
}

interface Opened {
  handshake: Handshake;
  capabilities: number;
  stream: MessageStream;
}

async function logIn(destination: Destination, profile: LoginProfile, database: Buffer | null): Promise<Opened> {
  const { endpoint } = destination;
  if (profile.serverLogin.kind === 'relayed' && profile.serverLogin.answer === null)
    throw new ClientError(CLIENT_ERROR.relayedLogin());
  const socket = await openSocket(endpoint);
  const { localAddress: host, localPort: port } = socket;
  if (destination.wantsProxyHeader === true && profile.client !== null && host !== undefined && port !== undefined)
    socket.write(buildProxyHeader(profile.client, { host, port }));
  // TLS, once it has begun. Ended before the socket below it: Node's TLS has crashed the process where that was taken away
  // from under a handshake (nodejs/node#49327). With Node 24.21 no moment is known that still does (proxy-tls-teardown.test.ts).
  let outermost: Duplex = socket;
  const stopTimer = startStallProofTimer(CONNECT_TIMEOUT_MS, () =>
    outermost.destroy(new Error(`no login within ${CONNECT_TIMEOUT_MS} ms`)),
  );
  let stream = new MessageStream(socket, { maxBytes: GREETING_BYTES_MAX });
  try {
    const greeting = await stream.next();
    if (greeting[0] === 0xff) throw new ClientError(parseErr(greeting));
    const handshake = parseHandshake(greeting);
    registerBackend(socket, destination, handshake.connectionId);
    const useTls = wantsTls(endpoint, handshake);
    const { user } = credentialsOn(profile, destination.side);
    const response = { ...responseTo(handshake, profile, { database, useTls }), user };
    requireSameFraming(profile.capabilities, response.capabilities);
    if (useTls) {
      stream.write(buildSslRequest(response));
      stream = await upgrade(stream, destination, (secure) => (outermost = secure));
    }
    const first = supportedPlugin(handshake);
    const { serverLogin } = profile;
    if (serverLogin.kind === 'relayed' && serverLogin.answer !== null) {
      // A plugin that nobody has makes the server tell the one of the account.
      stream.write(buildHandshakeResponse({ ...response, authPlugin: 'switchyard_relay' }));
      await relayBackendAuthentication(stream, serverLogin.answer);
      return { handshake, capabilities: response.capabilities, stream };
    }
    const { password } = credentialsOn(profile, destination.side);
    const authResponse = firstAuthResponse(first, password, useTls) ?? Buffer.alloc(0);
    stream.write(buildHandshakeResponse({ ...response, authResponse, authPlugin: first.plugin }));
    await finishBackendAuthentication(stream, first, { password, isSecure: useTls });
    return { handshake, capabilities: response.capabilities, stream };
  } catch (error) {
    outermost.destroy();
    socket.destroy();
    throw error;
  } finally {
    stopTimer();
  }
}

async function openSocket({ host, port }: Endpoint): Promise<Socket> {
  const socket = connectWire({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  readLastWords(socket);
  // Errors are told by whoever waits; one that comes between two waits must not end the process.
  socket.on('error', () => {});
  const stopTimer = startStallProofTimer(CONNECT_TIMEOUT_MS, () =>
    socket.destroy(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`)),
  );
  socket.once('connect', resolve);
  socket.once('error', reject);
  try {
    await promise;
  } finally {
    stopTimer();
    socket.off('error', reject);
  }
  return socket;
}

function wantsTls({ tls, host }: Endpoint, { capabilities }: Handshake): boolean {
  if (tls.mode === 'disabled') return false;
  if (hasCapability(capabilities, CAPABILITY.SSL)) return true;
  if (tls.mode === 'preferred') return false;
  throw new ClientError(CLIENT_ERROR.unreachable(host, `TLS is ${tls.mode} and the server does not offer it`));
}

/** Goes on over TLS on the same connection. */
async function upgrade(
  plain: MessageStream,
  destination: Destination,
  onBegun: (secure: Duplex) => void,
): Promise<MessageStream> {
  const { endpoint, clientCertificate } = destination;
  const { host, tls } = endpoint;
  plain.detach();
  const verifiesCa = tls.mode === 'verify_ca' || tls.mode === 'verify_identity';
  const serverName = tls.serverName ?? host;
  const options: ConnectionOptions = {
    socket: plain.socket,
    session: resumableSession(destination),
    minVersion: tls.minVersion,
    rejectUnauthorized: verifiesCa,
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...clientCertificate,
    ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
    // verify_ca, as MySQL means it: the chain, not the name.
    ...(tls.mode === 'verify_ca' ? { checkServerIdentity: () => undefined } : {}),
  };
  const secure = connectTls(options);
  readLastWords(secure);
  onBegun(secure);
  keepSession(secure, destination);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  secure.once('secureConnect', resolve);
  secure.once('error', reject);
  secure.once('close', () => reject(new ConnectionLostError('closed during the TLS handshake')));
  await promise;
  secure.off('error', reject);
  // The request for TLS had sequence 1; the response that follows has 2.
  return new MessageStream(secure, { maxBytes: GREETING_BYTES_MAX, sequence: 1 });
}

function responseTo(
  handshake: Handshake,
  profile: LoginProfile,
  { database, useTls }: { database: Buffer | null; useTls: boolean },
): HandshakeResponse {
  const wanted = combine(
    without(profile.capabilities, combine(CAPABILITY.SSL, CAPABILITY.CONNECT_WITH_DB, CAPABILITY.COMPRESS)),
    CAPABILITY.SESSION_TRACK,
    CAPABILITY.PLUGIN_AUTH,
    CAPABILITY.PLUGIN_AUTH_LENENC_CLIENT_DATA,
    CAPABILITY.SECURE_CONNECTION,
    CAPABILITY.PROTOCOL_41,
    database === null ? 0 : CAPABILITY.CONNECT_WITH_DB,
    useTls ? CAPABILITY.SSL : 0,
  );
  // LONG_PASSWORD is MariaDB's "I am a MySQL": it offers it not, and clients send it all the same.
  const offered = combine(handshake.capabilities, CAPABILITY.LONG_PASSWORD, CAPABILITY.CONNECT_WITH_DB);
  return {
    capabilities: (wanted & offered) >>> 0,
    maxPacketBytes: profile.maxPacketBytes,
    collation: profile.collation,
    user: profile.credentials.user,
    authResponse: Buffer.alloc(0),
    database,
    authPlugin: null,
    attributes: profile.attributes,
  };
}

/** Packets pass unchanged, so both connections must agree on everything that decides their form. */
function requireSameFraming(client: number, backend: number): void {
  const framing = combine(CAPABILITY.DEPRECATE_EOF, CAPABILITY.QUERY_ATTRIBUTES, CAPABILITY.PROTOCOL_41);
  const differing = ((client ^ backend) & framing) >>> 0;
  if (differing === 0) return;
  throw new ClientError(
    CLIENT_ERROR.moveFailed(`the server lacks protocol capabilities 0x${differing.toString(16)} that the client uses`),
  );
}

/** The server's default plugin where we know it: it then needs no switch for most accounts. */
function supportedPlugin({ authPlugin, scramble }: Handshake): { plugin: string; scramble: Buffer } {
  const known = authPlugin === 'mysql_native_password' ? authPlugin : 'caching_sha2_password';
  return { plugin: known, scramble };
}
