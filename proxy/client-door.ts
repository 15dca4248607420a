import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import type { Role } from '../core/routing-record.ts';
import { MalformedPacketError } from '../core/wire/byte-reader.ts';
import { buildErr, buildErrBeforeHandshake, type ErrPacket } from '../core/wire/err-packet.ts';
import { buildOk } from '../core/wire/ok-packet.ts';
import { framePacket } from '../core/wire/packet.ts';
import type { ClientAddress } from '../core/wire/proxy-header.ts';
import { parseChangeUser, type ChangeUser } from '../core/wire/change-user.ts';
import { CAPTURE_PLUGIN, authenticateClient } from './client-authentication.ts';
import { CLIENT_ERROR, ClientError } from './client-error.ts';
import { logInClient, type ClientLogin } from './client-login.ts';
import { CompressedStream } from './compressed-stream.ts';
import type { LoginLimiter } from './login-limiter.ts';
import type { UserDirectory } from './user-directory.ts';
import type { ConnectionIds } from './connection-ids.ts';
import type { ConnectionLimits } from './connection-limits.ts';
import { CredentialCache } from './credentials.ts';
import { ConnectionLostError, MessageStream } from './message-stream.ts';
import { refusalReason, type RefusalReason } from './refusal-reason.ts';
import type { BackendConnection, Destination, LoginProfile } from './backend-connection.ts';
import { readProxyHeader, type TrustedNetworks } from './proxy-protocol.ts';
import { splitRoleSuffix } from './role-suffix.ts';
import type { ServerIdentities } from './server-identity.ts';
import { HANDSHAKE_COLLATION_MAX, openBackend, setCollation } from './session-carrier.ts';
import type { ProxyMetrics } from './session-metrics.ts';
import { Session, type SessionContext } from './session.ts';
import type { TlsMaterial } from './tls-material.ts';
import { WatchedSet } from './watched-set.ts';

export interface ClientDoorOptions {
  /** As the files hold it now. */
  tls: () => TlsMaterial;
  balancers: TrustedNetworks;
  tlsRequired: boolean;
  limits: ConnectionLimits;
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

/** A connection that was accepted. */
interface Arrival {
  socket: Socket;
  client: ClientAddress | null;
  connectionId: number;
  /** Of the listener. */
  role: Role;
}

const ACCESS_DENIED = 1045;
/** For a client that was refused and does not close. */
const CLOSE_TIMEOUT_MS = 1000;
/** A message of a login, also of one within COM_CHANGE_USER. */
const LOGIN_BYTES_MAX = 1 << 20;

/** Lets clients in: greeting, login with us, login on the server in their name; then the session begins. */
export class ClientDoor {
  readonly #options: ClientDoorOptions;
  readonly #cache = new CredentialCache();
  readonly #connected = new WatchedSet<Socket>();
  /** Those without a session. */
  readonly #waiting = new WatchedSet<Socket>();
  readonly #closing = new AbortController();

  constructor(options: ClientDoorOptions) {
    this.#options = options;
  }

  /** Nobody is let in any more. Resolves when those under way have been told so, each in place of an answer that it waits for. */
  async close(): Promise<void> {
    this.#closing.abort(new ClientError(CLIENT_ERROR.shutdown()));
    await this.#waiting.emptied();
  }

  /** Resolves when no client is connected any more, also of those whose session has ended. */
  async deserted(): Promise<void> {
    await this.#connected.emptied();
  }

  accept(socket: Socket, role: Role): void {
    // Errors are followed by close, which whoever owns the socket by then listens to.
    socket.on('error', () => {});
    const { limits } = this.#options;
    const refusal = this.#closing.signal.aborted ? CLIENT_ERROR.shutdown() : limits.enter();
    if (refusal !== null) {
      this.#refuse(socket, refusal);
      return;
    }
    this.#connected.add(socket);
    this.#waiting.add(socket);
    socket.once('close', () => {
      limits.leave();
      this.#connected.delete(socket);
      this.#waiting.delete(socket);
    });
    void this.#serve(socket, role).catch((error: unknown) => {
      this.#options.log.error({ err: error }, 'a client could not be served');
      socket.destroy();
    });
  }

  /** In place of the greeting. */
  #refuse(socket: Socket, refusal: ErrPacket): void {
    this.#countRefusal(refusalReason(new ClientError(refusal), { timedOut: false }));
    this.#options.metrics.logins.inc({ outcome: 'refused' });
    socket.end(framePacket(buildErrBeforeHandshake(refusal), 0));
    // It may go on sending, and never close: nobody reads it.
    socket.resume();
    socket.setTimeout(this.#options.handshakeTimeoutMs, () => socket.destroy());
  }

  #countRefusal(reason: RefusalReason): void {
    this.#options.metrics.refusals.inc({ reason });
  }

  async #serve(socket: Socket, role: Role): Promise<void> {
    const { metrics, handshakeTimeoutMs, limiter } = this.#options;
    const timeout = new AbortController();
    const timer = setTimeout(() => {
      timeout.abort();
      (stream?.socket ?? socket).destroy();
    }, handshakeTimeoutMs);
    let client: ClientAddress | null = null;
    let stream: MessageStream | undefined;
    try {
      client = await this.#addressOf(socket, timeout.signal);
      const refusal = this.#admitAddress(socket, client);
      if (refusal !== null) {
        this.#refuse(socket, refusal);
        return;
      }
      const who = { socket, client, connectionId: this.#options.ids.next(), role };
      const login = await this.#logIn(who, (current) => (stream = current));
      // Held clients wait longer than a handshake may take.
      clearTimeout(timer);
      this.#admitUser(socket, login);
      await this.#begin(login, who);
      metrics.logins.inc({ outcome: 'accepted' });
      limiter.onAccepted(client?.host ?? '');
    } catch (error) {
      this.#countRefusal(refusalReason(error, { timedOut: timeout.signal.aborted }));
      metrics.logins.inc({ outcome: error instanceof ClientError ? 'refused' : 'broken' });
      if (error instanceof ClientError && error.packet.code === ACCESS_DENIED) limiter.onFailed(client?.host ?? '');
      const packet = packetOf(error);
      const open = stream?.socket ?? socket;
      if (packet !== null && stream !== undefined && !open.destroyed) {
        stream.write(buildErr(packet));
        open.end();
        open.resume();
        const close = setTimeout(() => open.destroy(), CLOSE_TIMEOUT_MS);
        open.once('close', () => clearTimeout(close));
      } else {
        open.destroy();
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** The one that a trusted balancer speaks for, or its own; null for a unix socket. */
  async #addressOf(socket: Socket, signal: AbortSignal): Promise<ClientAddress | null> {
    const { remoteAddress: host, remotePort: port } = socket;
    if (host === undefined || port === undefined) return null;
    const own = { host, port };
    return this.#options.balancers.includes(host) ? ((await readProxyHeader(socket, signal)) ?? own) : own;
  }

  #admitAddress(socket: Socket, client: ClientAddress | null): ErrPacket | null {
    if (client === null) return null;
    const { limits, limiter } = this.#options;
    if (limiter.isBlocked(client.host)) return CLIENT_ERROR.tooManyFailures(client.host);
    const refusal = limits.enterAddress(client.host);
    if (refusal === null) socket.once('close', () => limits.leaveAddress(client.host));
    return refusal;
  }

  #admitUser(socket: Socket, { profile }: ClientLogin): void {
    const { limits } = this.#options;
    const user = profile.credentials.user.toString('utf8');
    const refusal = limits.enterUser(user);
    if (refusal !== null) throw new ClientError(refusal);
    socket.once('close', () => limits.leaveUser(user));
  }

  /** Logs in on the server, tells the client, and hands it to its session. */
  async #begin(
    { stream, profile, database, isSecure, compression, identity, ...login }: ClientLogin,
    { socket, client, connectionId, role: listenerRole }: Arrival,
  ): Promise<void> {
    const role = login.role ?? listenerRole;
    const backend = await this.#logInBackend(role, { client: socket, profile, database });
    if (socket.destroyed || this.#closing.signal.aborted) {
      backend.quit();
      this.#closing.signal.throwIfAborted();
      throw new ConnectionLostError('the client is gone');
    }
    stream.write(buildOk({ statusFlags: 2 }));
    const ahead = stream.detach();
    this.#waiting.delete(socket);
    const transport = compression === null ? stream.socket : new CompressedStream(stream.socket, compression, ahead);
    transport.on('error', (error) => {
      if (error instanceof MalformedPacketError) this.#countRefusal('malformed packet');
    });
    const session = new Session({
      context: this.#options.context,
      client: transport,
      backend,
      profile: afterLogin(profile),
      role,
      database: database?.toString('utf8') ?? null,
      connectionId,
      address: client === null ? 'unix socket' : `${client.host}:${client.port}`,
      isMixed: identity.isMixed,
      isSecure,
    });
    this.#options.onSession(session);
    transport.resume();
    session.begin(compression === null ? ahead : Buffer.alloc(0));
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
        plugin: hasNoPassword(request) ? CAPTURE_PLUGIN : null,
        response: request.authResponse,
        scramble: Buffer.alloc(20, 1),
        isSecure: session.isSecure,
        rsa: tls().rsa,
        cache: this.#cache,
        users,
      });
      const collation = request.collation ?? session.profile.collation;
      const { attributes } = request;
      const profile: LoginProfile = { ...session.profile, credentials, serverLogin, collation, attributes };
      const backend = await this.#logInBackend(session.role, { client: session.client, profile, database });
      if (collation > HANDSHAKE_COLLATION_MAX) await setCollation(backend, collation);
      stream.write(buildOk({ statusFlags: 2 }));
      session.adopt(backend, { profile: afterLogin(profile), database: database?.toString('utf8') ?? null });
      session.returnClient(stream.detach());
    } catch (error) {
      this.#countRefusal(refusalReason(error, { timedOut: false }));
      const packet = packetOf(error) ?? CLIENT_ERROR.badHandshake();
      stream.write(buildErr(packet));
      session.end();
    }
  }

  async #logIn({ role, ...who }: Arrival, onStream: (stream: MessageStream) => void): Promise<ClientLogin> {
    const { identities, context, tls, tlsRequired, users } = this.#options;
    const identity = await identities.identity(context.router.record, role);
    const admit = () => {
      this.#closing.signal.throwIfAborted();
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
      return await router.destination(role, AbortSignal.any([giveUp.signal, this.#closing.signal]));
    } finally {
      clearTimeout(timer);
      client.off('close', onClosed);
    }
  }
}

/**
 * Nothing, in answer to a plugin that proves a password with something. Not with ours: MariaDB's connector for Node
 * sends nothing there, since it waits to be asked.
 */
function hasNoPassword({ authResponse, authPlugin }: ChangeUser): boolean {
  return authResponse.length === 0 && (authPlugin === null || authPlugin === 'mysql_native_password');
}

/** What the client reads of an error; null where it is gone. */
function packetOf(error: unknown): ErrPacket | null {
  if (error instanceof ClientError) return error.packet;
  return error instanceof MalformedPacketError ? CLIENT_ERROR.badHandshake() : null;
}

/** The client answers a challenge only while it logs in. */
function afterLogin(profile: LoginProfile): LoginProfile {
  if (profile.serverLogin.kind !== 'relayed') return profile;
  return { ...profile, serverLogin: { kind: 'relayed', answer: null } };
}
