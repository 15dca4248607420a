import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import type { Role } from '../core/routing-record.ts';
import { buildErr, buildErrBeforeHandshake, type ErrPacket } from '../core/wire/err-packet.ts';
import { buildOk } from '../core/wire/ok-packet.ts';
import { framePacket } from '../core/wire/packet.ts';
import type { ClientAddress } from '../core/wire/proxy-header.ts';
import { parseChangeUser } from '../core/wire/change-user.ts';
import { authenticateClient } from './client-authentication.ts';
import { CLIENT_ERROR, ClientError } from './client-error.ts';
import { logInClient, type ClientLogin } from './client-login.ts';
import { CompressedStream } from './compressed-stream.ts';
import type { LoginLimiter } from './login-limiter.ts';
import type { UserDirectory } from './user-directory.ts';
import type { ConnectionIds } from './connection-ids.ts';
import { CredentialCache } from './credentials.ts';
import { MessageStream } from './message-stream.ts';
import type { BackendConnection, Destination, LoginProfile } from './backend-connection.ts';
import { readProxyHeader, type TrustedNetworks } from './proxy-protocol.ts';
import { splitRoleSuffix } from './role-suffix.ts';
import type { ServerIdentities } from './server-identity.ts';
import { openBackend } from './session-carrier.ts';
import type { ProxyMetrics } from './session-metrics.ts';
import { Session, type SessionContext } from './session.ts';
import type { TlsMaterial } from './tls-material.ts';

export interface ClientDoorOptions {
  /** As the files hold it now. */
  tls: () => TlsMaterial;
  balancers: TrustedNetworks;
  tlsRequired: boolean;
  maxConnections: number;
  handshakeTimeoutMs: number;
  ids: ConnectionIds;
  users: UserDirectory;
  limiter: LoginLimiter;
  identities: ServerIdentities;
  metrics: ProxyMetrics;
  context: SessionContext;
  onSession: (session: Session) => void;
  log: Logger;
}

const ACCESS_DENIED = 1045;
/** A message of a login, also of one within COM_CHANGE_USER. */
const LOGIN_BYTES_MAX = 1 << 20;

/** Lets clients in: greeting, login with us, login on the server in their name; then the session begins. */
export class ClientDoor {
  readonly #options: ClientDoorOptions;
  readonly #cache = new CredentialCache();
  readonly #waiting = new Set<Socket>();
  #open = 0;
  #closed = false;

  constructor(options: ClientDoorOptions) {
    this.#options = options;
  }

  /** Connections with or without a session. */
  get openConnections(): number {
    return this.#open;
  }

  /** Those that have no session yet get no other answer any more. */
  close(): void {
    this.#closed = true;
    for (const socket of this.#waiting) socket.end(framePacket(buildErr(CLIENT_ERROR.shutdown()), 2));
  }

  accept(socket: Socket, role: Role): void {
    // Errors are followed by close, which whoever owns the socket by then listens to.
    socket.on('error', () => {});
    const refusal = this.#refusalOf(socket);
    if (refusal !== null) {
      this.#options.metrics.logins.inc({ outcome: 'refused' });
      socket.end(framePacket(buildErrBeforeHandshake(refusal), 0));
      return;
    }
    this.#open += 1;
    this.#waiting.add(socket);
    socket.once('close', () => {
      this.#open -= 1;
      this.#waiting.delete(socket);
    });
    void this.#serve(socket, role).catch((error: unknown) => {
      this.#options.log.error({ err: error }, 'a client could not be served');
      socket.destroy();
    });
  }

  /** Why nobody is greeted now, or not this one. */
  #refusalOf(socket: Socket): ErrPacket | null {
    if (this.#closed) return CLIENT_ERROR.shutdown();
    if (this.#open >= this.#options.maxConnections) return CLIENT_ERROR.tooManyConnections();
    const host = socket.remoteAddress ?? '';
    return this.#options.limiter.isBlocked(host) ? CLIENT_ERROR.tooManyFailures(host) : null;
  }

  async #serve(socket: Socket, listenerRole: Role): Promise<void> {
    const { context, metrics, handshakeTimeoutMs, ids, limiter } = this.#options;
    const connectionId = ids.next();
    const timer = setTimeout(() => (stream?.socket ?? socket).destroy(), handshakeTimeoutMs);
    let client = addressOf(socket);
    let stream: MessageStream | undefined;
    try {
      if (this.#options.balancers.includes(socket.remoteAddress ?? '')) {
        client = (await readProxyHeader(socket, AbortSignal.timeout(handshakeTimeoutMs))) ?? client;
        if (client !== null && limiter.isBlocked(client.host))
          throw new ClientError(CLIENT_ERROR.tooManyFailures(client.host));
      }
      const who = { socket, client, connectionId, role: listenerRole };
      const login = await this.#logIn(who, (current) => (stream = current));
      // Held clients wait longer than a handshake may take.
      clearTimeout(timer);
      const role = login.role ?? listenerRole;
      const backend = await this.#logInBackend(role, {
        client: socket,
        profile: login.profile,
        database: login.database,
      });
      if (socket.destroyed) {
        backend.quit();
        return;
      }
      login.stream.write(buildOk({ statusFlags: 2 }));
      const ahead = login.stream.detach();
      this.#waiting.delete(socket);
      metrics.logins.inc({ outcome: 'accepted' });
      limiter.onAccepted(client?.host ?? '');
      const { socket: plain } = login.stream;
      const transport = login.compression === null ? plain : new CompressedStream(plain, login.compression, ahead);
      const profile = afterLogin(login.profile);
      const database = login.database?.toString('utf8') ?? null;
      const { isMixed } = login.identity;
      const session = new Session({
        context,
        client: transport,
        backend,
        profile,
        role,
        database,
        connectionId,
        address: client === null ? 'unix socket' : `${client.host}:${client.port}`,
        isMixed,
        isSecure: login.isSecure,
      });
      this.#options.onSession(session);
      transport.resume();
      session.begin(login.compression === null ? ahead : Buffer.alloc(0));
    } catch (error) {
      metrics.logins.inc({ outcome: error instanceof ClientError ? 'refused' : 'broken' });
      if (error instanceof ClientError && error.packet.code === ACCESS_DENIED) limiter.onFailed(client?.host ?? '');
      if (error instanceof ClientError && stream !== undefined) {
        stream.write(buildErr(error.packet));
        stream.socket.end();
      } else {
        (stream?.socket ?? socket).destroy();
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** COM_CHANGE_USER: the password is asked for again; the session goes on with a new login. */
  async changeUser(session: Session, payload: Buffer): Promise<void> {
    const ahead = session.takeClient();
    const stream = new MessageStream(session.client, { maxBytes: LOGIN_BYTES_MAX, sequence: 0 });
    if (ahead.length > 0) stream.unread(ahead);
    try {
      const { capabilities } = session.profile;
      const request = parseChangeUser(payload, capabilities);
      const { database, role } = splitRoleSuffix(request.database ?? Buffer.alloc(0));
      if (role !== null && role !== session.role) throw new ClientError(CLIENT_ERROR.otherRole());
      const { tls, users } = this.#options;
      const { credentials, serverLogin } = await authenticateClient({
        stream,
        user: request.user,
        // Asked anew, unless there is no password: what was sent answers the scramble of the first login.
        plugin: request.authResponse.length === 0 ? 'caching_sha2_password' : null,
        response: request.authResponse,
        scramble: Buffer.alloc(20, 1),
        isSecure: session.isSecure,
        rsa: tls().rsa,
        cache: this.#cache,
        users,
      });
      const collation = (request.collation ?? session.profile.collation) & 0xff;
      const { attributes } = request;
      const profile: LoginProfile = { ...session.profile, credentials, serverLogin, collation, attributes };
      const backend = await this.#logInBackend(session.role, { client: session.client, profile, database });
      stream.write(buildOk({ statusFlags: 2 }));
      session.adopt(backend, { profile: afterLogin(profile), database: database?.toString('utf8') ?? null });
      session.returnClient(stream.detach());
    } catch (error) {
      const packet = error instanceof ClientError ? error.packet : CLIENT_ERROR.badHandshake();
      stream.write(buildErr(packet));
      session.end();
    }
  }

  async #logIn(
    { role, ...who }: { socket: Socket; client: ClientAddress | null; connectionId: number; role: Role },
    onStream: (stream: MessageStream) => void,
  ): Promise<ClientLogin> {
    const { identities, context, tls, tlsRequired, users } = this.#options;
    const identity = await identities.identity(context.router.record, role);
    const admit = () => {
      if (context.router.record === null) throw new ClientError(CLIENT_ERROR.noImport());
    };
    const cache = this.#cache;
    return logInClient({ ...who, identity, tls: tls(), tlsRequired, cache, users, admit }, onStream);
  }

  /** Waits for the end of a hold, then lets the server decide. */
  async #logInBackend(
    role: Role,
    { client, profile, database }: { client: Duplex; profile: LoginProfile; database: Buffer | null },
  ): Promise<BackendConnection> {
    const destination = await this.#whereTo(role, client);
    if (destination === null) throw new ClientError(CLIENT_ERROR.noImport());
    try {
      const backend = await openBackend(destination, profile, database);
      if (profile.serverLogin.kind === 'captured') this.#cache.accepted(profile.credentials);
      return backend;
    } catch (error) {
      if (error instanceof ClientError && error.packet.code === ACCESS_DENIED) this.#cache.refused(profile.credentials);
      throw error;
    }
  }

  /** Waits for the end of a hold, while the client does, and not longer than a hold may last before the fence (I6). */
  async #whereTo(role: Role, client: Duplex): Promise<Destination | null> {
    const { router, holdTimeoutMs } = this.#options.context;
    if (!router.route(role).held) return router.route(role).destination;
    const giveUp = new AbortController();
    const onClosed = () => giveUp.abort(new ClientError(CLIENT_ERROR.badHandshake()));
    const onTimeout = () => {
      if (router.record?.fenced !== true) giveUp.abort(new ClientError(CLIENT_ERROR.heldTooLong()));
    };
    client.once('close', onClosed);
    const timer = setTimeout(onTimeout, holdTimeoutMs);
    try {
      return await router.destination(role, giveUp.signal);
    } finally {
      clearTimeout(timer);
      client.off('close', onClosed);
    }
  }
}

function addressOf(socket: Socket): ClientAddress | null {
  const { remoteAddress: host, remotePort: port } = socket;
  return host === undefined || port === undefined ? null : { host, port };
}

/** The client answers a challenge only while it logs in. */
function afterLogin(profile: LoginProfile): LoginProfile {
  if (profile.serverLogin.kind !== 'relayed') return profile;
  return { ...profile, serverLogin: { kind: 'relayed', answer: null } };
}
