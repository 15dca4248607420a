import type { Socket } from 'node:net';
import type { PinnedSession, SessionView } from '../core/control/protocol.ts';
import type { Role } from '../core/routing-record.ts';
import { MalformedPacketError } from '../core/wire/byte-reader.ts';
import { COMMAND } from '../core/wire/command.ts';
import { buildErr, type ErrPacket } from '../core/wire/err-packet.ts';
import { buildOk } from '../core/wire/ok-packet.ts';
import { framePacket } from '../core/wire/packet.ts';
import { requireSuccess, runCommands } from './backend-commands.ts';
import {
  isSameDestination,
  type BackendConnection,
  type Destination,
  type LoginProfile,
} from './backend-connection.ts';
import { CLIENT_ERROR, ClientError } from './client-error.ts';
import { ClientInput } from './client-input.ts';
import { CommandTracker } from './command-tracker.ts';
import { PreparedStatements } from './prepared-statements.ts';
import { trackerCommand } from './restore-commands.ts';
import type { Router } from './router.ts';
import type { ProxyMetrics } from './session-metrics.ts';
import { SessionLuggage } from './session-luggage.ts';
import { SessionState } from './session-state.ts';

/** What a session needs of its worker. */
export interface SessionContext {
  readonly instanceId: string;
  readonly router: Router;
  readonly metrics: ProxyMetrics;
  readonly holdTimeoutMs: number;
  /** The session reached the boundary that a drain waits for. */
  onSettled(session: Session): void;
  onClosed(session: Session): void;
  /** See CommandTrackerOptions. */
  backendIdOf(connectionId: number): number | null | undefined;
  changeUser(session: Session, payload: Buffer): Promise<void>;
}

export interface SessionOptions {
  context: SessionContext;
  client: Socket;
  backend: BackendConnection;
  profile: LoginProfile;
  role: Role;
  database: string | null;
  connectionId: number;
  address: string;
  isMixed: boolean;
}

/**
 * relay: commands go to the server as they come. settling: at a boundary within a hold, reading what only the old
 * server knows. held: nothing under way, at most one command kept. moving: being carried over, or our own statements
 * run. closing: over.
 */
type Phase = 'relay' | 'settling' | 'held' | 'moving' | 'closing';

/** Collation ids that MySQL and MariaDB have in common end here. */
const SHARED_COLLATION_MAX = 247;
const QUIT_DELAY_MS = 200;
/** What a client may send ahead of an answer before its socket is no longer read (I8). */
const AHEAD_BYTES_MAX = 1 << 16;

/** One client with its one connection to a database server. */
export class Session {
  readonly id: string;
  readonly role: Role;
  readonly connectionId: number;
  readonly #context: SessionContext;
  readonly #client: Socket;
  readonly #address: string;
  readonly #isMixed: boolean;
  readonly #startedAt = performance.now();
  #profile: LoginProfile;
  #backend: BackendConnection;
  #state: SessionState;
  #statements = new PreparedStatements();
  #tracker: CommandTracker;
  #phase: Phase = 'relay';
  readonly #input = new ClientInput();
  /** Since when a command waits for the end of the hold. */
  #heldSince: number | null = null;
  #holdTimer: NodeJS.Timeout | undefined;
  #followUpTimer: NodeJS.Timeout | undefined;
  #luggage: SessionLuggage;
  /** The server closed the connection while the session was held: it can still move, its state was read. */
  #backendLost = false;
  #shuttingDown = false;
  #bytesIn = 0;
  #bytesOut = 0;

  constructor({ context, client, backend, profile, role, database, connectionId, address, isMixed }: SessionOptions) {
    this.#context = context;
    this.#client = client;
    this.#backend = backend;
    this.#profile = profile;
    this.role = role;
    this.connectionId = connectionId;
    this.id = String(connectionId);
    this.#address = address;
    this.#isMixed = isMixed;
    this.#state = this.#newState(database);
    this.#tracker = this.#newTracker();
    this.#luggage = this.#newLuggage();
    client.on('data', this.#onClientData);
    client.on('drain', this.#onClientDrain);
    client.on('error', () => client.destroy());
    client.on('close', this.#onClientClosed);
    this.#attach(backend);
  }

  get profile(): LoginProfile {
    return this.#profile;
  }

  get client(): Socket {
    return this.#client;
  }

  get destination(): Destination {
    return this.#backend.destination;
  }

  get backendConnectionId(): number {
    return this.#backend.connectionId;
  }

  get heldSince(): number | null {
    return this.#heldSince;
  }

  /** First bytes that came with the login, and the first look at the route. */
  begin(ahead: Buffer): void {
    this.#input.push(ahead);
    this.reconsider();
    this.#pump();
  }

  /** Why a drain has to wait for this session; null when it need not. */
  undrainedReasons(): string[] | null {
    if (this.#phase === 'held' || this.#phase === 'closing') return null;
    const reasons = this.#blockers();
    // Settling: an instant from being drained. Moving: on its way to where it is to be.
    return this.#phase === 'relay' && reasons.length === 0 ? ['reaching a boundary'] : reasons;
  }

  describe(reasons: string[]): PinnedSession {
    return {
      sessionId: this.id,
      user: this.#profile.credentials.user.toString('utf8'),
      address: this.#address,
      reasons,
    };
  }

  view(): SessionView {
    const state =
      this.#phase === 'relay'
        ? this.#tracker.isBusy
          ? 'busy'
          : 'idle'
        : this.#phase === 'settling'
          ? 'held'
          : this.#phase;
    return {
      sessionId: this.id,
      instanceId: this.#context.instanceId,
      user: this.#profile.credentials.user.toString('utf8'),
      address: this.#address,
      database: this.#state.schema,
      role: this.role,
      side: this.#backend.destination.side,
      state,
      inTransaction: this.#state.inTransaction,
      pins: this.pins(),
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      ageMs: Math.round(performance.now() - this.#startedAt),
    };
  }

  pins(): string[] {
    return [...this.#state.pins.reasons(), ...this.#statements.pins()];
  }

  /**
   * The one place that decides what the session does next, called whenever something it depends on changed: the
   * route, its boundary, the end of what it was doing.
   */
  reconsider(): void {
    if (this.#phase === 'closing' || this.#phase === 'settling' || this.#phase === 'moving') return;
    const { destination, held } = this.#context.router.route(this.role);
    if (destination === null) return;
    const mustMove = !isSameDestination(destination, this.#backend.destination) || this.#backendLost;
    const blockers = this.#blockers();
    if (blockers.length > 0) {
      // What runs on a server that no longer serves the role: a write could not be told from one before the switch (I1).
      if (mustMove && !held && this.role === 'primary') this.fail(CLIENT_ERROR.notMovable(blockers.join(', ')));
      return;
    }
    if (this.#shuttingDown) {
      this.fail(CLIENT_ERROR.shutdown());
    } else if (held) {
      if (this.#phase !== 'held' && !this.#waitsForFollowUp()) this.#settle();
    } else if (mustMove) {
      void this.#move(destination);
    } else {
      this.#resume();
    }
  }

  /** Opens the connection to `destination` ahead of the switch; rejects with ClientError. */
  async prepareMove(destination: Destination): Promise<void> {
    if (this.#phase === 'closing' || isSameDestination(destination, this.#backend.destination)) return;
    await this.#readAhead();
    await this.#luggage.prepare(destination, () => !this.#isClosing());
  }

  /** The switch did not come. */
  dropPreparedMove(): void {
    this.#luggage.drop();
  }

  /** Ends at the next boundary. */
  shutDown(): void {
    this.#shuttingDown = true;
    this.reconsider();
  }

  /** Tells the client where that is possible, and ends the session. */
  fail(error: ErrPacket): void {
    if (this.#phase === 'closing') return;
    const isAsked = this.#tracker.isBusy || !this.#input.isEmpty;
    const sequence = this.#tracker.isBusy ? this.#tracker.nextSequence : isAsked ? 1 : 0;
    if (this.#tracker.isBetweenPackets && !this.#client.destroyed) {
      this.#client.end(framePacket(buildErr(error), sequence));
    }
    this.#close();
  }

  /** Without a word: whoever has the client's socket told it already. */
  end(): void {
    this.#close();
  }

  /** COM_CHANGE_USER: another login goes on with this client. */
  adopt(backend: BackendConnection, { profile, database }: { profile: LoginProfile; database: string | null }): void {
    this.#detach(this.#backend);
    this.#backend.quit();
    this.dropPreparedMove();
    this.#profile = profile;
    this.#backend = backend;
    this.#state = this.#newState(database);
    this.#statements = new PreparedStatements();
    this.#tracker = this.#newTracker();
    this.#luggage = this.#newLuggage();
    this.#attach(backend);
  }

  /** Our own exchange with the client begins: `take` returns what it sent ahead. */
  takeClient(): Buffer {
    this.#phase = 'moving';
    this.#client.off('data', this.#onClientData);
    return this.#input.takeAll();
  }

  returnClient(ahead: Buffer): void {
    if (this.#phase === 'closing') return;
    this.#client.on('data', this.#onClientData);
    this.#phase = 'relay';
    this.begin(ahead);
    this.#updateReading();
  }

  #newState(database: string | null): SessionState {
    const state = new SessionState(database);
    // A collation that the other family does not know would silently become its default there (I5).
    state.charsetTouched = this.#isMixed && this.#profile.collation > SHARED_COLLATION_MAX;
    return state;
  }

  #newTracker(): CommandTracker {
    return new CommandTracker({
      role: this.role,
      capabilities: this.#profile.capabilities,
      state: this.#state,
      statements: this.#statements,
      forward: (bytes) => this.#toClient(bytes),
      onFinished: () => this.#onFinished(),
      onUnsolicited: (error) => this.fail(error),
      onLocalInfile: () => this.#input.beginFile(),
      backendIdOf: (id) => this.#context.backendIdOf(id),
    });
  }

  #isClosing(): boolean {
    return this.#phase === 'closing';
  }

  #newLuggage(): SessionLuggage {
    return new SessionLuggage(() => {
      const profile = { ...this.#profile, capabilities: this.#tracker.capabilities };
      return { profile, state: this.#state, statements: this.#statements };
    });
  }

  /** What keeps the session on its server; empty at a boundary. */
  #blockers(): string[] {
    const reasons: string[] = [];
    if (this.#tracker.isBusy || this.#input.isUploading) reasons.push('a command is running');
    if (this.#state.inTransaction) reasons.push('open transaction');
    return [...reasons, ...this.pins()];
  }

  // --- from the client

  #onClientData = (chunk: Buffer): void => {
    this.#bytesIn += chunk.length;
    this.#context.metrics.onBytes('client', chunk.length);
    this.#input.push(chunk);
    try {
      this.#pump();
    } catch (error) {
      this.#onMalformed(error);
    }
  };

  /** What one client or server sends must never end the process with all the others. */
  #onMalformed(error: unknown): void {
    if (!(error instanceof MalformedPacketError)) throw error;
    this.fail(CLIENT_ERROR.malformed());
  }

  #pump(): void {
    while (!this.#input.isEmpty && this.#passNext());
    this.#updateReading();
  }

  /** False when it has to wait: for more bytes, for an answer, or for the session to be allowed to go on. */
  #passNext(): boolean {
    if (this.#input.isUploading) {
      const piece = this.#input.takeUpload();
      if (piece === undefined) return false;
      if (piece.fileEnd !== null) this.#tracker.localInfileSent(piece.fileEnd);
      this.#toBackend(piece.bytes);
      return true;
    }
    if (this.#tracker.isRaw) {
      this.#toBackend(this.#input.takeAll());
      return true;
    }
    if (this.#tracker.isBusy) return false;
    const command = this.#input.peekCommand();
    if (command === undefined) return false;
    if (this.#phase !== 'relay') return this.#whileWaiting(command);
    this.#dispatch(this.#input.takeCommand());
    return true;
  }

  /** A ping needs no server; the end of the session needs no release. Everything else waits. */
  #whileWaiting(command: number): boolean {
    if (command === COMMAND.QUIT) {
      this.#close();
      return false;
    }
    if (command === COMMAND.PING) {
      this.#input.takeCommand();
      this.#toClient(framePacket(buildOk({ statusFlags: this.#state.lastStatusFlags }), 1));
      return true;
    }
    if (this.#heldSince === null && (this.#phase === 'held' || this.#phase === 'settling')) {
      this.#heldSince = performance.now();
      this.#holdTimer = setTimeout(() => this.#onHoldTimeout(), this.#context.holdTimeoutMs);
    }
    return false;
  }

  #onHoldTimeout(): void {
    // After the fence there is no way back (I6): only the next epoch ends the hold.
    if (this.#phase === 'held' && this.#context.router.record?.fenced !== true) this.fail(CLIENT_ERROR.heldTooLong());
  }

  #dispatch(packet: Buffer): void {
    const decision = this.#tracker.start(packet);
    this.#context.metrics.onCommand(this.role);
    switch (decision.kind) {
      case 'forward':
        this.#toBackend(decision.packet);
        // Without an answer there is no later event: closing a statement may have been what a drain waits for.
        if (!decision.isAnswered && this.#context.router.route(this.role).held) this.reconsider();
        return;
      case 'answer':
        // The rest of a large command that is refused cannot be told from the next one.
        if (this.#input.isUploading) this.fail(CLIENT_ERROR.malformed());
        else this.#toClient(framePacket(decision.payload, 1));
        return;
      case 'change-user':
        void this.#context.changeUser(this, Buffer.from(decision.payload));
        return;
      case 'quit':
        this.#close();
        return;
      default:
        throw new Error(`unknown decision ${JSON.stringify(decision satisfies never)}`);
    }
  }

  #toBackend(bytes: Buffer): void {
    this.#backend.socket.write(bytes);
  }

  /** Reads from the client unless the server is slow, or the client is far enough ahead. */
  #updateReading(): void {
    const { socket } = this.#backend;
    const isBlocked = socket.writableNeedDrain && this.#phase === 'relay';
    const isAhead = this.#input.length > AHEAD_BYTES_MAX && (this.#phase !== 'relay' || this.#tracker.isBusy);
    if (isBlocked || isAhead || (this.#phase === 'held' && this.#heldSince !== null)) this.#client.pause();
    else if (this.#client.isPaused()) this.#client.resume();
  }

  #onClientDrain = (): void => {
    if (this.#phase === 'relay') this.#backend.socket.resume();
  };

  #onClientClosed = (): void => {
    this.#close();
  };

  // --- from the server

  #attach(backend: BackendConnection): void {
    backend.socket.on('data', this.#onBackendData);
    backend.socket.on('drain', this.#onBackendDrain);
    backend.socket.on('close', this.#onBackendClosed);
    backend.socket.resume();
    // It closed while nobody listened.
    if (backend.socket.destroyed) setImmediate(this.#onBackendClosed);
  }

  #detach(backend: BackendConnection): void {
    backend.socket.off('data', this.#onBackendData);
    backend.socket.off('drain', this.#onBackendDrain);
    backend.socket.off('close', this.#onBackendClosed);
  }

  #onBackendData = (chunk: Buffer): void => {
    this.#context.metrics.onBytes('server', chunk.length);
    try {
      this.#tracker.feed(chunk);
    } catch (error) {
      this.#onMalformed(error);
    }
  };

  #onBackendDrain = (): void => {
    this.#updateReading();
  };

  #onBackendClosed = (): void => {
    if (!this.#backend.socket.destroyed) return;
    if (this.#phase === 'held') {
      this.#backendLost = true;
      return;
    }
    this.fail(CLIENT_ERROR.backendLost('it closed the connection'));
  };

  #toClient(bytes: Buffer): void {
    this.#bytesOut += bytes.length;
    if (!this.#client.write(bytes)) this.#backend.socket.pause();
  }

  #onFinished(): void {
    if (this.#phase === 'closing') return;
    if (this.#tracker.takeNeedsTrackers()) {
      void this.#runOwn(async () => {
        requireSuccess(await runCommands(this.#backend, [trackerCommand(this.#backend)]));
        this.#backend.releaseStream();
      });
      return;
    }
    const { destination, held } = this.#context.router.route(this.role);
    const isPlain =
      !held &&
      !this.#shuttingDown &&
      (destination === null || isSameDestination(destination, this.#backend.destination));
    if (!isPlain) this.reconsider();
    if (!this.#input.isEmpty) this.#pump();
  }

  // --- hold and move

  /** Runs our own statements on the session's server, while the client waits. */
  async #runOwn(work: () => Promise<void>): Promise<void> {
    this.#phase = 'moving';
    this.#detach(this.#backend);
    try {
      await work();
      if (this.#isClosing()) return;
      this.#attach(this.#backend);
      this.#phase = 'relay';
    } catch (error) {
      this.fail(packetOf(error, CLIENT_ERROR.backendLost));
      return;
    }
    this.reconsider();
    this.#pump();
  }

  /**
   * FOUND_ROWS() cannot be carried over. The statement that reads it comes at once where it comes at all, so the
   * session gets a moment for it.
   */
  #waitsForFollowUp(): boolean {
    const leftMs = this.#tracker.followUpUntilMs - performance.now();
    if (leftMs <= 0) return false;
    this.#followUpTimer ??= setTimeout(() => {
      this.#followUpTimer = undefined;
      this.reconsider();
    }, leftMs);
    return true;
  }

  /** Within a hold, at a boundary: from here on nothing of the session is under way. */
  #settle(): void {
    if (!this.#luggage.needsToRead()) {
      this.#onSettled();
      return;
    }
    this.#phase = 'settling';
    this.#detach(this.#backend);
    void this.#readState().then(
      () => {
        if (this.#isClosing()) return;
        this.#attach(this.#backend);
        this.#onSettled();
        // The hold may have ended meanwhile.
        this.reconsider();
      },
      (error: unknown) => this.fail(packetOf(error, CLIENT_ERROR.backendLost)),
    );
  }

  #onSettled(): void {
    // The server knew better: a transaction is open after all.
    if (this.#blockers().length > 0) {
      this.#phase = 'relay';
    } else {
      this.#phase = 'held';
      this.#context.onSettled(this);
      this.#luggage.refresh();
    }
    this.#pump();
  }

  /** Before a switch, where the session happens to be idle: what stays as it is need not be read in the pause. */
  async #readAhead(): Promise<void> {
    const isIdle = this.#phase === 'relay' && this.#input.isEmpty && this.#blockers().length === 0;
    if (isIdle && this.#luggage.needsToRead()) await this.#runOwn(async () => this.#readState());
  }

  /** Everything that only the old server can tell, while it still can. */
  async #readState(): Promise<void> {
    await this.#luggage.readStatus(this.#backend);
    if (this.#blockers().length === 0) await this.#luggage.readValues(this.#backend);
  }

  async #move(destination: Destination): Promise<void> {
    const isSettled = this.#phase === 'held';
    this.#phase = 'moving';
    const old = this.#backend;
    this.#detach(old);
    try {
      if (!isSettled) {
        await this.#readState();
        if (this.#blockers().length > 0) throw new ClientError(CLIENT_ERROR.notMovable(this.#blockers().join(', ')));
      }
      const restored = await this.#luggage.connect(destination);
      quitLater(old);
      if (this.#isClosing()) {
        restored.connection.quit();
        return;
      }
      this.#backend = restored.connection;
      this.#backendLost = false;
      this.#statements.rebind(restored.statementIds);
      this.#attach(restored.connection);
      this.#context.metrics.moves.inc({ outcome: 'moved' });
    } catch (error) {
      old.quit();
      this.#context.metrics.moves.inc({ outcome: 'failed' });
      this.fail(packetOf(error, CLIENT_ERROR.moveFailed));
      return;
    }
    this.#phase = 'relay';
    this.reconsider();
    if (this.#currentPhase() === 'relay') this.#resume();
  }

  /** Read through a method: the compiler would narrow it across calls that change it. */
  #currentPhase(): Phase {
    return this.#phase;
  }

  #resume(): void {
    if (this.#heldSince !== null) {
      this.#context.metrics.holdSeconds.observe((performance.now() - this.#heldSince) / 1000);
      this.#heldSince = null;
      clearTimeout(this.#holdTimer);
    }
    if (this.#phase === 'held') this.#phase = 'relay';
    if (!this.#input.isEmpty) this.#pump();
    else this.#updateReading();
  }

  #close(): void {
    if (this.#phase === 'closing') return;
    this.#phase = 'closing';
    clearTimeout(this.#holdTimer);
    clearTimeout(this.#followUpTimer);
    this.dropPreparedMove();
    this.#client.off('data', this.#onClientData);
    this.#client.resume();
    if (!this.#client.writableEnded) this.#client.end();
    const timer = setTimeout(() => this.#client.destroy(), 1000);
    timer.unref();
    this.#client.once('close', () => clearTimeout(timer));
    this.#detach(this.#backend);
    if (this.#tracker.isBusy) this.#backend.destroy();
    else this.#backend.quit();
    this.#context.onClosed(this);
  }
}

/** Hundreds of goodbyes at the moment of the release would delay the commands that were held. */
function quitLater(connection: BackendConnection): void {
  setTimeout(() => connection.quit(), QUIT_DELAY_MS + Math.random() * QUIT_DELAY_MS);
}

function packetOf(error: unknown, fallback: (why: string) => ErrPacket): ErrPacket {
  if (error instanceof ClientError && error.packet.sqlState.startsWith('08')) return error.packet;
  return fallback(error instanceof Error ? error.message : String(error));
}
