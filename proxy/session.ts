import type { Duplex } from 'node:stream';
import type { PinnedSession, SessionLocation, SessionView } from '../core/control/protocol.ts';
import type { Role } from '../core/routing-record.ts';
import { ERR_HEADER } from '../core/wire/err-packet.ts';
import { buildOk } from '../core/wire/ok-packet.ts';
import { SESSION_STATUS } from '../core/wire/server-status.ts';
import {
  isSameDestination,
  type BackendConnection,
  type Destination,
  type LoginProfile,
} from './backend-connection.ts';
import { CLIENT_ERROR, ClientError, type OwnError } from './client-error.ts';
import type { Errand } from './command-decision.ts';
import { HoldWait } from './hold-wait.ts';
import { isWritableTransaction, refusesWrites } from './read-only-replica.ts';
import { Relay, type RelayOwner } from './relay.ts';
import type { Router } from './router.ts';
import { killSession, type KillContext, type KillRequest } from './session-kill.ts';
import { SessionLogin } from './session-login.ts';
import { SessionMove, type MovingSession, type SessionPhase } from './session-move.ts';
import type { ProxyMetrics } from './session-metrics.ts';
import { SessionPortrait } from './session-portrait.ts';
import { errorIn } from './statement-diagnostics.ts';
import type { WatchedSession } from './session-watch.ts';

/** What a session needs of its worker. */
export interface SessionContext {
  readonly instanceId: string;
  readonly router: Router;
  readonly metrics: ProxyMetrics;
  readonly holdTimeoutMs: number;
  /** The session reached the boundary that a drain waits for. */
  onSettled(session: Session): void;
  /** It reached its boundary, and has a reason to stay that was not known before. */
  onStays(session: Session): void;
  onClosed(session: Session): void;
  /** The session could not be carried over, and ends. */
  onMoveFailed(session: Session, error: unknown): void;
  /** Returns the answer. */
  kill(session: Session, request: KillRequest): Promise<Buffer>;
  changeUser(session: Session, payload: Buffer): Promise<void>;
}

export interface SessionOptions {
  context: SessionContext;
  client: Duplex;
  /** Under TLS, or on this machine: the client may tell a password as it is. */
  isSecure: boolean;
  backend: BackendConnection;
  profile: LoginProfile;
  role: Role;
  database: string | null;
  connectionId: number;
  address: string;
  /** One side is MariaDB and the other is not. */
  isMixed: boolean;
}

/**
 * One client with its one connection to a database server: decides when commands go, and what happens at a boundary. How it
 * settles and moves is `SessionMove`'s.
 */
export class Session implements RelayOwner, WatchedSession {
  readonly id: string;
  readonly role: Role;
  readonly connectionId: number;
  readonly isSecure: boolean;
  readonly #context: SessionContext;
  readonly #isMixed: boolean;
  readonly #portrait: SessionPortrait;
  readonly #relay: Relay;
  readonly #hold: HoldWait;
  readonly #move: SessionMove;
  #login: SessionLogin;
  #phase: SessionPhase = 'relay';
  /** COM_CHANGE_USER: the former login has ended, and the next one waits for the end of a hold itself. */
  #hasLeftServer = false;
  #shuttingDown = false;

  constructor(options: SessionOptions) {
    const { context, client, backend, profile, role, database, connectionId, address, isMixed, isSecure } = options;
    this.#context = context;
    this.role = role;
    this.connectionId = connectionId;
    this.isSecure = isSecure;
    this.id = String(connectionId);
    const { instanceId } = context;
    this.#portrait = new SessionPortrait({ sessionId: this.id, instanceId, role, address });
    this.#isMixed = isMixed;
    const { metrics, holdTimeoutMs: timeoutMs } = context;
    this.#hold = new HoldWait({ metrics, timeoutMs, onTimeout: () => this.#onHeldTooLong() });
    this.#login = this.#newLogin(backend, { profile, database });
    this.#relay = new Relay({ client, backend, tracker: this.#login.tracker, owner: this, metrics });
    this.#move = new SessionMove({ relay: this.#relay, session: this.#asMoving() });
  }

  get profile(): LoginProfile {
    return this.#login.profile;
  }

  get client(): Duplex {
    return this.#relay.client;
  }

  get destination(): Destination {
    return this.#login.backend.destination;
  }

  location(): SessionLocation {
    const { destination, connectionId } = this.#login.backend;
    return { side: destination.side, role: this.role, backendId: connectionId };
  }

  /** By the id of a server that the session left: what CONNECTION_ID() answered then. */
  wasKnownAs(backendId: number): boolean {
    return this.#move.formerIds.includes(backendId);
  }

  /** Held, with no command that waits. */
  get isHeldIdle(): boolean {
    return this.#phase === 'held' && this.heldSince === null;
  }

  /** Of the client's since it logged in. */
  get bytesIn(): number {
    return this.#relay.bytesIn;
  }

  get bytesOut(): number {
    return this.#relay.bytesOut;
  }

  get pendingBytes(): number {
    return this.#relay.client.writableLength;
  }

  get isIdle(): boolean {
    return this.#phase === 'relay' && !this.#relay.isBusy;
  }

  get netWriteTimeoutMs(): number | null {
    const seconds = this.#login.state.systemVariables.get('net_write_timeout');
    return seconds === undefined ? null : Number(seconds.toString('latin1')) * 1000;
  }

  get heldSince(): number | null {
    return this.#hold.since;
  }

  /** First bytes that came with the login, and the first look at the route. */
  begin(ahead: Buffer): void {
    this.#relay.push(ahead);
    this.reconsider();
    // Its login took until within the hold, and no drain waits for it: what cannot be held must not run anything (I1).
    if (this.#phase === 'relay' && this.#context.router.route(this.role).held) this.#endUnmoved(this.#blockers());
    else this.#relay.pump();
  }

  /** Why a drain has to wait for this session; null when it need not. */
  undrainedReasons(): string[] | null {
    if (this.#phase === 'held' || this.#phase === 'closing' || this.#hasLeftServer) return null;
    const reasons = this.#blockers();
    // Settling: an instant from being drained. Moving: on its way to where it is to be.
    return this.#phase === 'relay' && reasons.length === 0 ? ['reaching a boundary'] : reasons;
  }

  describe(reasons: string[]): PinnedSession {
    return this.#portrait.pinned(this.#login, reasons);
  }

  view(): SessionView {
    return this.#portrait.view(this.#login, this.#relay, this.#shownState());
  }

  pins(): string[] {
    return this.#login.pins();
  }

  /**
   * The one place that decides what the session does next, called whenever something it depends on changed: the
   * route, its boundary, the end of what it was doing.
   */
  reconsider(): void {
    if (this.#phase === 'closing' || this.#phase === 'settling' || this.#phase === 'moving') return;
    const { destination, held } = this.#context.router.route(this.role);
    if (destination === null) return;
    const mustMove = !isSameDestination(destination, this.#login.backend.destination) || this.#move.backendLost;
    if (this.#followPrimary({ mayLeave: held || mustMove })) return;
    if (this.#isDoubtful({ mayLeave: held || mustMove || this.#shuttingDown })) {
      void this.#move.runOwn(async () => this.#login.readStatus());
      return;
    }
    const blockers = this.#blockers();
    if (blockers.length > 0) {
      // What runs on a server that no longer serves the role: a write could not be told from one before the switch (I1).
      if (mustMove && !held && this.role === 'primary') this.#endUnmoved(blockers);
      return;
    }
    if (this.#shuttingDown) {
      this.fail(CLIENT_ERROR.shutdown());
    } else if (held) {
      if (this.#phase !== 'held') this.#move.settle();
    } else if (mustMove) {
      void this.#move.go(destination);
    } else {
      this.#resume();
    }
  }

  /** Opens the connection to `destination` ahead of the switch, which has to come within `keepMs`; rejects with ClientError. */
  async prepareMove(destination: Destination, keepMs: number): Promise<void> {
    if (this.#isClosing() || isSameDestination(destination, this.#login.backend.destination)) return;
    await this.#move.readAhead();
    await this.#login.luggage.prepare(destination, { keepMs, isWanted: () => !this.#isClosing() });
  }

  /** The switch did not come yet: the session stays where it is. One that is still to move keeps what was opened ahead. */
  dropUnneededMove(): void {
    const { destination } = this.#context.router.route(this.role);
    const stays = destination === null || isSameDestination(destination, this.#login.backend.destination);
    if (stays) this.#login.luggage.dropSoon();
  }

  /** Ends at the next boundary. */
  shutDown(): void {
    this.#shuttingDown = true;
    this.reconsider();
  }

  /** The time to reach a boundary is over. */
  cutOff(): void {
    this.fail(this.#relay.isBusy ? CLIENT_ERROR.backendLost('the proxy ends') : CLIENT_ERROR.shutdown());
  }

  /** Tells the client where that is possible, and ends the session. */
  fail(error: OwnError): void {
    if (this.#isClosing()) return;
    if (error.reason !== undefined) this.#context.metrics.onRefused(error.reason);
    this.#relay.tell(error);
    this.end();
  }

  /** Without a word. */
  end(): void {
    if (this.#isClosing()) return;
    this.#phase = 'closing';
    this.#hold.cancel();
    this.#login.luggage.drop();
    this.#relay.close();
    this.#context.onClosed(this);
  }

  /** COM_CHANGE_USER: another login goes on with this client. */
  adopt(backend: BackendConnection, { profile, database }: { profile: LoginProfile; database: string | null }): void {
    if (this.#isClosing()) {
      backend.quit();
      return;
    }
    this.#login.luggage.drop();
    this.#hasLeftServer = false;
    this.#login = this.#newLogin(backend, { profile, database });
    this.#relay.follow(this.#login.tracker);
    this.#relay.attach(backend);
  }

  /** Our own exchange with the client begins: returns what it sent ahead. */
  takeClient(): Buffer {
    this.#phase = 'moving';
    this.#relay.detach();
    this.#login.backend.quit();
    this.#hasLeftServer = true;
    this.#context.onSettled(this);
    return this.#relay.releaseClient();
  }

  returnClient(ahead: Buffer): void {
    if (this.#isClosing()) return;
    this.#phase = 'relay';
    this.#relay.regainClient(ahead);
    this.begin(Buffer.alloc(0));
  }

  onIdleTooLong(): void {
    this.fail(CLIENT_ERROR.idleTooLong());
  }

  /** It would not read an error either. */
  onTakesNothing(): void {
    this.#context.metrics.onRefused('slow reader');
    this.end();
  }

  // --- RelayOwner

  isRelaying(): boolean {
    return this.#phase === 'relay';
  }

  onCommand(): void {
    this.#context.metrics.onCommand(this.role);
  }

  onErrand(errand: Errand): void {
    void this.#move.runOwn(async () => this.#login.run(errand));
  }

  pong(): Buffer {
    const { lastStatusFlags, diagnostics } = this.#login.state;
    return buildOk({ statusFlags: lastStatusFlags & SESSION_STATUS, warnings: diagnostics.warningsOfPing });
  }

  onCommandWaits(): void {
    if (this.#phase !== 'held' && this.#phase !== 'settling') return;
    this.#hold.begin();
  }

  /** Without an answer there is no later event: closing a statement may have been what a drain waits for. */
  onUnanswered(): void {
    if (this.#context.router.route(this.role).held) this.reconsider();
  }

  onChangeUser(payload: Buffer): void {
    void this.#context.changeUser(this, payload);
  }

  onKill(request: KillRequest): void {
    void this.#move.runOwn(async () => {
      this.#relay.answer(await this.#context.kill(this, request));
    });
  }

  /** By its server, where nothing runs while it is held or on its way: its query is the command that waits here. */
  onKilled(what: 'query' | 'connection'): void {
    if (this.#phase === 'relay') return;
    if (what === 'connection') this.fail(CLIENT_ERROR.backendLost('it was killed'));
    else if (this.heldSince !== null && this.#relay.refuseWaiting(CLIENT_ERROR.interrupted())) {
      this.#login.tracker.onRefused(CLIENT_ERROR.interrupted());
      this.#hold.cancel();
      this.#relay.pump();
    }
  }

  async kill(request: KillRequest, context: Pick<KillContext, 'destinationOn' | 'locate'>): Promise<Buffer> {
    if (this.#login.state.unreported.isDue) await this.#login.run({ kind: 'report' });
    const { backend, profile, state } = this.#login;
    const answer = await killSession(request, { ...context, backend, profile });
    state.diagnostics.onOwnAnswer(answer[0] === ERR_HEADER ? errorIn(answer) : null);
    return answer;
  }

  onClientEnded(): void {
    this.end();
  }

  onBackendClosed(): void {
    if (this.#phase === 'held') this.#move.onBackendLost();
    else this.fail(CLIENT_ERROR.backendLost('it closed the connection'));
  }

  onBroken(error: OwnError): void {
    this.fail(error);
  }

  // --- boundary

  #onFinished(): void {
    if (this.#isClosing()) return;
    if (this.#login.state.needsCatchUp) {
      void this.#move.runOwn(async () => this.#login.catchUp());
      return;
    }
    const { destination, held } = this.#context.router.route(this.role);
    const stays = destination === null || isSameDestination(destination, this.#login.backend.destination);
    if (held || this.#shuttingDown || !stays || this.#isOutOfStep()) this.reconsider();
    if (!this.#relay.isEmpty) this.#relay.pump();
  }

  /** What keeps the session on its server; empty at a boundary. */
  #blockers(): string[] {
    const reasons: string[] = [];
    if (this.#relay.isBusy) reasons.push('a command is running');
    if (this.#login.state.inTransaction) reasons.push('open transaction');
    return [...reasons, ...this.pins()];
  }

  /** Whether it has a boundary here that only its server knows of. */
  #isDoubtful({ mayLeave }: { mayLeave: boolean }): boolean {
    return mayLeave && !this.#relay.isBusy && this.#login.state.mayHaveLostTransaction;
  }

  /** Whether its server is to refuse its writes now. */
  get #mustNotWrite(): boolean {
    return refusesWrites(this.#context.router, this.role, this.#login.backend.destination.side);
  }

  #isOutOfStep(): boolean {
    if (this.role === 'primary') return false;
    const { refusesWrites: isRefusing, statusFlags } = this.#login.state;
    return this.#mustNotWrite ? !isRefusing || isWritableTransaction(statusFlags) : isRefusing;
  }

  /** Replica traffic writes only where primary traffic is. True when something is being done about it. */
  #followPrimary({ mayLeave }: { mayLeave: boolean }): boolean {
    if (!this.#isOutOfStep() || this.#relay.isBusy) return false;
    const { state, backend } = this.#login;
    if (this.#mustNotWrite && isWritableTransaction(state.statusFlags)) {
      this.#endUnmoved([
        `a transaction that may write is open on the ${backend.destination.side}, where primary traffic is not`,
      ]);
      return true;
    }
    // No command goes to this server any more, or not before this is looked at again. One that is pinned goes on in a hold.
    if (mayLeave && this.#blockers().length === 0) return false;
    const mustNotWrite = this.#mustNotWrite;
    void this.#move.runOwn(async () => this.#login.setReadOnly(mustNotWrite));
    return true;
  }

  /** The server's last words before it closes the connection. */
  #onUnsolicited(error: OwnError): void {
    if (this.#phase === 'held') this.#move.onBackendLost();
    else this.fail(error);
  }

  #onHeldTooLong(): void {
    // After the fence there is no way back (I6): only the next epoch ends the hold.
    const isFenced = this.#context.router.record?.fenced === true;
    // Settling: its server does not answer.
    const isHeld = this.#phase === 'held' || this.#phase === 'settling';
    if (isHeld && !isFenced) this.fail(CLIENT_ERROR.heldTooLong());
  }

  #endUnmoved(blockers: string[]): void {
    const error = new ClientError(CLIENT_ERROR.notMovable(blockers.join(', ')));
    this.#context.onMoveFailed(this, error);
    this.fail(error.packet);
  }

  #resume(): void {
    this.#hold.end();
    this.#phase = 'relay';
    this.#relay.pump();
  }

  #isClosing(): boolean {
    return this.#phase === 'closing';
  }

  #shownState(): SessionView['state'] {
    if (this.#phase === 'relay') return this.#relay.isBusy ? 'busy' : 'idle';
    return this.#phase === 'settling' ? 'held' : this.#phase;
  }

  #asMoving(): MovingSession {
    return {
      login: () => this.#login,
      phase: () => this.#phase,
      enter: (phase) => {
        this.#phase = phase;
      },
      blockers: () => this.#blockers(),
      reconsider: () => this.reconsider(),
      fail: (error) => this.fail(error),
      onSettled: () => this.#context.onSettled(this),
      onStays: () => this.#context.onStays(this),
      onMoved: () => this.#context.metrics.moves.inc({ outcome: 'moved' }),
      onMoveFailed: (error) => this.#context.onMoveFailed(this, error),
    };
  }

  #newLogin(
    backend: BackendConnection,
    { profile, database }: { profile: LoginProfile; database: string | null },
  ): SessionLogin {
    return new SessionLogin({
      backend,
      profile,
      database,
      role: this.role,
      isMixed: this.#isMixed,
      events: {
        forward: (bytes) => this.#relay.toClient(bytes),
        onFinished: () => this.#onFinished(),
        onUnsolicited: (error) => this.#onUnsolicited(error),
        onLocalInfile: () => this.#relay.beginFile(),
        onProtocolError: () => this.#context.metrics.onRefused('refused by the server'),
      },
    });
  }
}
