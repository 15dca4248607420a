import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import type { Role } from '../core/routing-record.ts';
import { MalformedPacketError } from '../core/wire/byte-reader.ts';
import { buildErr, buildErrBeforeHandshake, type ErrPacket } from '../core/wire/err-packet.ts';
import { buildOk } from '../core/wire/ok-packet.ts';
import { framePacket } from '../core/wire/packet.ts';
import type { ClientAddress } from '../core/wire/proxy-header.ts';
import { changeUser } from './change-user.ts';
import { CLIENT_ERROR, ClientError } from './client-error.ts';
import { logInClient, type ClientLogin } from './client-login.ts';
import { CompressedStream } from './compressed-stream.ts';
import type { LoginLimiter } from './login-limiter.ts';
import type { UserDirectory } from './user-directory.ts';
import type { ConnectionIds } from './connection-ids.ts';
import type { ConnectionLimits } from './connection-limits.ts';
import { CredentialCache } from './credentials.ts';
import { ConnectionLostError, MessageStream } from './message-stream.ts';
import { refusalReason } from './refusal-reason.ts';
import { readProxyHeader, type TrustedNetworks } from './proxy-protocol.ts';
import type { ServerIdentities } from './server-identity.ts';
import { ACCESS_DENIED, ServerLogins, afterLogin, loginErrorOf } from './server-logins.ts';
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

/** For a client that was refused and does not close. */
const CLOSE_TIMEOUT_MS = 1000;

/** Lets clients in: greeting, login with us, login on the server in their name; then the session begins. */
export class ClientDoor {
  readonly #options: ClientDoorOptions;
  readonly #cache = new CredentialCache();
  readonly #servers: ServerLogins;
  readonly #connected = new WatchedSet<Socket>();
  /** Those without a session. */
  readonly #waiting = new WatchedSet<Socket>();
  readonly #closing = new AbortController();

  constructor(options: ClientDoorOptions) {
    this.#options = options;
    const { context } = options;
    this.#servers = new ServerLogins({ context, cache: this.#cache, closing: this.#closing.signal });
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
    this.#options.metrics.onRefused(refusalReason(new ClientError(refusal)));
    this.#options.metrics.logins.inc({ outcome: 'refused' });
    socket.end(framePacket(buildErrBeforeHandshake(refusal), 0));
    // It may go on sending, and never close: nobody reads it.
    socket.resume();
    socket.setTimeout(this.#options.handshakeTimeoutMs, () => socket.destroy());
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
      this.#options.metrics.onRefused(refusalReason(error, { timedOut: timeout.signal.aborted }));
      metrics.logins.inc({ outcome: error instanceof ClientError ? 'refused' : 'broken' });
      if (error instanceof ClientError && error.packet.code === ACCESS_DENIED) limiter.onFailed(client?.host ?? '');
      const packet = loginErrorOf(error);
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
    const backend = await this.#servers.logIn(role, { client: socket, profile, database });
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
      if (error instanceof MalformedPacketError) this.#options.metrics.onRefused('malformed packet');
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

  /** See `changeUser`. */
  async changeUser(session: Session, payload: Buffer): Promise<void> {
    const { tls, users, metrics, handshakeTimeoutMs: timeoutMs } = this.#options;
    await changeUser(session, payload, {
      rsa: tls().rsa,
      users,
      metrics,
      servers: this.#servers,
      cache: this.#cache,
      timeoutMs,
    });
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
}
