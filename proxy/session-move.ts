import type { Destination } from './backend-connection.ts';
import { CLIENT_ERROR, ClientError, type OwnError } from './client-error.ts';
import type { Relay } from './relay.ts';
import type { SessionLogin } from './session-login.ts';

/**
 * relay: commands go to the server as they come. settling: at a boundary within a hold, reading what only the old
 * server knows. held: nothing under way, at most one command kept. moving: being carried over, or our own statements
 * run. closing: over.
 */
export type SessionPhase = 'relay' | 'settling' | 'held' | 'moving' | 'closing';

/** The session as its moves see it: it decides when, and may end at any time. */
export interface MovingSession {
  /** COM_CHANGE_USER replaces it. */
  login(): SessionLogin;
  phase(): SessionPhase;
  enter(phase: SessionPhase): void;
  /** What keeps the session on its server; empty at a boundary. */
  blockers(): string[];
  /** What it waited for is over. */
  reconsider(): void;
  fail(error: OwnError): void;
  onSettled(): void;
  onStays(): void;
  onMoved(): void;
  onMoveFailed(error: unknown): void;
}

const FORMER_IDS_MAX = 8;

/** What a session does while its client waits: settles within a hold, moves, runs statements of our own. */
export class SessionMove {
  readonly #relay: Relay;
  readonly #session: MovingSession;
  #formerIds: readonly number[] = [];
  #backendLost = false;

  constructor({ relay, session }: { relay: Relay; session: MovingSession }) {
    this.#relay = relay;
    this.#session = session;
  }

  /** Of the connections that the session left, by their servers. */
  get formerIds(): readonly number[] {
    return this.#formerIds;
  }

  /** The server closed the connection while the session was held: it can still move, its state was read. */
  get backendLost(): boolean {
    return this.#backendLost;
  }

  onBackendLost(): void {
    this.#backendLost = true;
  }

  /** Within a hold, at a boundary: from here on nothing of the session is under way. */
  settle(): void {
    const session = this.#session;
    if (!session.login().luggage.needsToRead()) {
      this.#onStateRead();
      return;
    }
    session.enter('settling');
    this.#relay.detach();
    void this.#readState().then(
      () => {
        if (this.#isClosing()) return;
        this.#relay.attach(session.login().backend);
        this.#onStateRead();
        // The hold may have ended meanwhile.
        session.reconsider();
      },
      (error: unknown) => session.fail(packetOf(error, CLIENT_ERROR.backendLost)),
    );
  }

  /** Before a switch, where the session happens to be idle: what stays as it is need not be read in the pause. */
  async readAhead(): Promise<void> {
    const session = this.#session;
    const { state, luggage } = session.login();
    const isIdle = session.phase() === 'relay' && this.#relay.isEmpty && !this.#relay.isBusy;
    if (!isIdle) return;
    if (state.mayHaveLostTransaction) await this.runOwn(async () => session.login().readStatus());
    else if (session.blockers().length === 0 && luggage.needsToRead()) await this.runOwn(async () => this.#readState());
  }

  /** Runs our own statements on the session's server. */
  async runOwn(work: () => Promise<void>): Promise<void> {
    const session = this.#session;
    session.enter('moving');
    this.#relay.detach();
    try {
      await work();
      if (this.#isClosing()) return;
      this.#relay.attach(session.login().backend);
      session.enter('relay');
    } catch (error) {
      session.fail(packetOf(error, CLIENT_ERROR.backendLost));
      return;
    }
    session.reconsider();
    this.#relay.pump();
  }

  /** To another server, with the state of the session; one that cannot be carried over is ended. */
  async go(destination: Destination): Promise<void> {
    const session = this.#session;
    const isSettled = session.phase() === 'held';
    session.enter('moving');
    this.#relay.detach();
    const login = session.login();
    const old = login.backend;
    try {
      const restored = await login.carryOver(destination, {
        isSettled,
        blockers: () => session.blockers(),
      });
      const { connection } = restored;
      if (this.#isClosing()) {
        connection.quit();
        return;
      }
      this.#formerIds = [old.connectionId, ...this.#formerIds].slice(0, FORMER_IDS_MAX);
      login.rebind(restored);
      this.#backendLost = false;
      this.#relay.attach(connection);
      session.onMoved();
    } catch (error) {
      old.quit();
      if (!this.#isClosing()) session.onMoveFailed(error);
      session.fail(packetOf(error, CLIENT_ERROR.moveFailed));
      return;
    }
    session.enter('relay');
    // Goes on with what was held, or elsewhere when the route changed meanwhile.
    session.reconsider();
  }

  #onStateRead(): void {
    const session = this.#session;
    // The server may have known better: a transaction is open after all.
    const isSettled = session.blockers().length === 0;
    session.enter(isSettled ? 'held' : 'relay');
    if (isSettled) {
      session.onSettled();
      session.login().luggage.refresh();
    } else {
      session.onStays();
    }
    this.#relay.pump();
  }

  /** Everything that only the old server can tell, while it still can. */
  async #readState(): Promise<void> {
    await this.#session.login().readState(() => this.#session.blockers());
  }

  #isClosing(): boolean {
    return this.#session.phase() === 'closing';
  }
}

function packetOf(error: unknown, fallback: (why: string) => OwnError): OwnError {
  if (error instanceof ClientError && error.packet.sqlState.startsWith('08')) return error.packet;
  return fallback(error instanceof Error ? error.message : String(error));
}
