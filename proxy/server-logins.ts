import type { Duplex } from 'node:stream';
import { MalformedPacketError } from '../core/wire/byte-reader.ts';
import type { Role } from '../core/routing-record.ts';
import { BackendConnection, type Destination, type LoginProfile } from './backend-connection.ts';
import { CLIENT_ERROR, ClientError, type OwnError } from './client-error.ts';
import type { CredentialCache } from './credentials.ts';
import { turnTrackersOn } from './session-carrier.ts';
import { LoginGate } from './login-gate.ts';
import type { SessionContext } from './session.ts';

export interface ServerLoginsOptions {
  context: Pick<SessionContext, 'router' | 'holdTimeoutMs'>;
  cache: CredentialCache;
  /** Aborts with what a client is told that waits for the end of a hold then. */
  closing: AbortSignal;
}

export interface LoginRequest {
  client: Duplex;
  profile: LoginProfile;
  database: Buffer | null;
}

export const ACCESS_DENIED = 1045;

/** Those who came in a hold all go on at its end. */
const AFTER_HOLD = new LoginGate(32);

/** Logs in on the server that serves a role now, in the name of a client that waits for it. */
export class ServerLogins {
  readonly #options: ServerLoginsOptions;

  constructor(options: ServerLoginsOptions) {
    this.#options = options;
  }

  /** Waits for the end of a hold, then lets the server decide. */
  async logIn(role: Role, request: LoginRequest): Promise<BackendConnection> {
    const backend = await this.#open(role, request);
    await turnTrackersOn(backend);
    return backend;
  }

  async #open(role: Role, request: LoginRequest): Promise<BackendConnection> {
    const { closing, context } = this.#options;
    const { client } = request;
    const { held, destination } = context.router.route(role);
    if (!held) return this.#openNow(destination, request);
    for (;;) {
      await this.#untilReleased(role, client);
      // A connection that does not come is given up: nobody keeps a place in the gate.
      const opened = await AFTER_HOLD.run(async () => {
        closing.throwIfAborted();
        if (client.destroyed) throw new ClientError(CLIENT_ERROR.badHandshake());
        const route = context.router.route(role);
        return route.held ? null : this.#openNow(route.destination, request);
      });
      if (opened !== null) return opened;
    }
  }

  async #openNow(destination: Destination | null, { profile, database }: LoginRequest): Promise<BackendConnection> {
    const { cache } = this.#options;
    if (destination === null) throw new ClientError(CLIENT_ERROR.noImport());
    try {
      const backend = await BackendConnection.open(destination, profile, database);
      if (profile.serverLogin.kind === 'captured') cache.accepted(profile.credentials);
      return backend;
    } catch (error) {
      if (error instanceof ClientError && error.packet.code === ACCESS_DENIED) cache.refused(profile.credentials);
      throw error;
    }
  }

  /** While the client waits, and not longer than a hold may last before the fence (I6). */
  async #untilReleased(role: Role, client: Duplex): Promise<void> {
    const { closing, context } = this.#options;
    const { router, holdTimeoutMs } = context;
    const giveUp = new AbortController();
    const onClosed = () => giveUp.abort(new ClientError(CLIENT_ERROR.badHandshake()));
    const onTimeout = () => {
      if (router.record?.fenced !== true) giveUp.abort(new ClientError(CLIENT_ERROR.heldTooLong()));
    };
    client.once('close', onClosed);
    const timer = setTimeout(onTimeout, holdTimeoutMs);
    try {
      await router.destination(role, AbortSignal.any([giveUp.signal, closing]));
    } finally {
      clearTimeout(timer);
      client.off('close', onClosed);
    }
  }
}

/** What the client reads of an error; null where it is gone. */
export function loginErrorOf(error: unknown): OwnError | null {
  if (error instanceof ClientError) return error.packet;
  return error instanceof MalformedPacketError ? CLIENT_ERROR.badHandshake() : null;
}

/** The client answers a challenge only while it logs in. */
export function afterLogin(profile: LoginProfile): LoginProfile {
  if (profile.serverLogin.kind !== 'relayed') return profile;
  return { ...profile, serverLogin: { kind: 'relayed', answer: null } };
}
