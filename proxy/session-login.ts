import type { Role } from '../core/routing-record.ts';
import { framePacket } from '../core/wire/packet.ts';
import { requireSuccess, runCommands } from './backend-commands.ts';
import { catchUp, sayListAgain } from './catch-up.ts';
import type { BackendConnection, Destination, LoginProfile } from './backend-connection.ts';
import { CLIENT_ERROR, ClientError } from './client-error.ts';
import type { Errand } from './command-decision.ts';
import { CommandTracker, type CommandTrackerOptions } from './command-tracker.ts';
import { closeCommand, PreparedStatements } from './prepared-statements.ts';
import { readOnlyCommands } from './restore-commands.ts';
import {
  HANDSHAKE_COLLATION_MAX,
  prepareMissing,
  prepareMissingText,
  readDiagnostics,
  readReport,
  type RestoredConnection,
} from './session-carrier.ts';
import { SessionLuggage } from './session-luggage.ts';
import { SessionState } from './session-state.ts';
import { sendBytes } from './wire-socket.ts';

export interface SessionLoginOptions {
  backend: BackendConnection;
  profile: LoginProfile;
  database: string | null;
  role: Role;
  /** One side is MariaDB and the other is not. */
  isMixed: boolean;
  events: Pick<CommandTrackerOptions, 'forward' | 'onFinished' | 'onUnsolicited' | 'onLocalInfile' | 'onProtocolError'>;
}

const QUIT_DELAY_MS = 200;

/** Collation ids that MySQL and MariaDB have in common end here. */
const SHARED_COLLATION_MAX = 247;

/** All that a session knows since its client logged in, and that another login (COM_CHANGE_USER) begins anew. */
export class SessionLogin {
  readonly #profile: LoginProfile;
  readonly state: SessionState;
  readonly statements = new PreparedStatements();
  readonly tracker: CommandTracker;
  readonly luggage: SessionLuggage;
  /** Moves replace it. */
  backend: BackendConnection;

  constructor({ backend, profile, database, role, isMixed, events }: SessionLoginOptions) {
    this.backend = backend;
    this.#profile = profile;
    const { collation } = profile;
    this.state = new SessionState(database, { collation, statusFlags: backend.loginStatusFlags });
    noteServer(this.state, backend);
    if (profile.serverLogin.kind === 'relayed')
      this.state.pins.addPermanent('its login was relayed (mysql_native_password)');
    if (!backend.hasTrackers) this.state.pins.add('expired password');
    // A collation that the other family does not know would silently become its default there (I5).
    this.state.charsetTouched =
      profile.collation > HANDSHAKE_COLLATION_MAX || (isMixed && profile.collation > SHARED_COLLATION_MAX);
    const { capabilities } = profile;
    const { state, statements } = this;
    this.tracker = new CommandTracker({ role, capabilities, state, statements, ...events });
    this.luggage = new SessionLuggage(() => ({ profile: this.profile, state, statements }));
  }

  /** With MULTI_STATEMENTS as COM_SET_OPTION left it. */
  get profile(): LoginProfile {
    return { ...this.#profile, capabilities: this.tracker.capabilities };
  }

  pins(): string[] {
    return [...this.state.reasons(), ...this.statements.pins(this.state)];
  }

  /** What has to be asked for right after a command; an answer may lead to another question. */
  async catchUp(): Promise<void> {
    const { backend, state } = this;
    // What comes with the answers to other questions would be lost.
    if (state.unreported.isDue) await readReport(backend, state);
    if (!state.needsCatchUp) return;
    if (state.diagnostics.needsReading || state.asksForRows) await readDiagnostics(backend, state.diagnostics);
    const endsList = state.asksForWarnings;
    if (endsList) state.diagnostics.onOverwritten();
    else state.diagnostics.onAsked();
    while (state.needsCatchUp) await catchUp(backend, state, state.takeCatchUps());
    if (endsList) await sayListAgain(backend, state);
  }

  /** Before a command that needs it. */
  async run(errand: Errand): Promise<void> {
    const { backend, state } = this;
    await this.catchUp();
    if (errand.kind === 'report') return;
    if (state.diagnostics.needsReading) await readDiagnostics(backend, state.diagnostics);
    state.diagnostics.onOverwritten();
    if (errand.kind === 'prepare') await prepareMissing(backend, state, errand.statement);
    else await prepareMissingText(backend, state, errand.name);
  }

  /** See `refusesWrites`. Between two commands, also within a transaction: it counts from the next one on. */
  async setReadOnly(isOn: boolean): Promise<void> {
    const { backend, state, luggage } = this;
    await luggage.readStatus(backend);
    requireSuccess(await runCommands(backend, readOnlyCommands(backend, state, isOn)));
    backend.releaseStream();
    state.refusesWrites = isOn;
  }

  /** Whether a transaction is open after an error. */
  async readStatus(): Promise<void> {
    await this.luggage.readStatus(this.backend);
  }

  /** Everything that only this server can tell, while it still can. */
  async readState(blockers: () => string[]): Promise<void> {
    await this.luggage.readStatus(this.backend);
    if (blockers().length === 0) await this.luggage.readValues(this.backend);
  }

  /**
   * A connection to `destination` with the state of this one, which is left: its server is not asked again. `isSettled`: what
   * only that server knows has been read. Rejects with ClientError.
   */
  async carryOver(
    destination: Destination,
    { isSettled, blockers }: { isSettled: boolean; blockers: () => string[] },
  ): Promise<RestoredConnection> {
    if (!isSettled) {
      await this.readState(blockers);
      const reasons = blockers();
      if (reasons.length > 0) throw new ClientError(CLIENT_ERROR.notMovable(reasons.join(', ')));
    }
    const restored = await this.luggage.connect(destination);
    quitLater(this.backend);
    return restored;
  }

  /** Goes on with another connection. What was prepared there ahead, and is closed by now, is closed there too. */
  rebind({ connection, statementIds, missingTexts }: RestoredConnection): void {
    this.backend = connection;
    this.state.refusesWrites = false;
    noteServer(this.state, connection);
    this.state.diagnostics.onOverwritten();
    for (const [clientId, id] of statementIds)
      if (this.statements.get(clientId) === undefined) sendBytes(connection.socket, framePacket(closeCommand(id), 0));
    this.statements.rebind(statementIds);
    this.state.onMoved(missingTexts);
  }
}

/** Hundreds of goodbyes at the moment of the release would delay the commands that were held. */
function quitLater(connection: BackendConnection): void {
  setTimeout(() => connection.quit(), QUIT_DELAY_MS + Math.random() * QUIT_DELAY_MS);
}

function noteServer(state: SessionState, { isMariaDb, serverVersion }: BackendConnection): void {
  state.diagnostics.listNeedsTables = isMariaDb;
  state.hidesUse = isMariaDb;
  state.hidesUnscoped = isMariaDb;
  state.reportsLater = !isMariaDb;
  // 5.5.5- stands before the version for the sake of old replicas.
  state.misnamesOptions = isMariaDb && Number.parseInt(serverVersion.replace(/^5\.5\.5-/, ''), 10) >= 11;
}
