import type { BackendConnection, Destination } from './backend-connection.ts';
import { LoginGate } from './login-gate.ts';
import { PreparedMove } from './prepared-move.ts';
import {
  openRestored,
  readBack,
  readDiagnostics,
  readPendingTrackers,
  readReport,
  type Carried,
  type RestoredConnection,
} from './session-carrier.ts';
import { emptySnapshot, isCurrent, type SessionSnapshot } from './session-snapshot.ts';

/** Of all sessions of the process. Those whose command waits longest are released first, and so stand first here. */
const UNPREPARED = new LoginGate(32);

/** A switch that waited for somebody in vain tries again after a second, and waits for some seconds then. */
const NEXT_HOLD_MS = 10_000;

/**
 * What a session has ready for its next move: the values that only its server knows, as they were read last, and the
 * connection to the other side that was opened ahead.
 */
export class SessionLuggage {
  readonly #carried: () => Carried;
  #snapshot: SessionSnapshot | null = null;
  #prepared: PreparedMove | null = null;

  /** `carried` gives the session's state as it is now. */
  constructor(carried: () => Carried) {
    this.#carried = carried;
  }

  /** True when the old server has to be asked before the session can leave it. */
  needsToRead(): boolean {
    const { statusFlags, nextTransaction, diagnostics, unreported } = this.#carried().state;
    return (
      statusFlags === null ||
      unreported.isDue ||
      diagnostics.needsReading ||
      nextTransaction.length > 0 ||
      this.#needsSnapshot()
    );
  }

  /** Asks what the last answer may not have told: whether a transaction is open, and whether SET TRANSACTION is used up. */
  async readStatus(connection: BackendConnection): Promise<void> {
    const { state } = this.#carried();
    // First, since the answers to other questions would carry it; and what the statement before left is overwritten by those.
    if (state.statusFlags === null || state.unreported.isDue) await readReport(connection, state);
    if (state.diagnostics.needsReading) await readDiagnostics(connection, state.diagnostics);
    state.diagnostics.onAsked();
    if (state.nextTransaction.length > 0) await readPendingTrackers(connection, state);
  }

  async readValues(connection: BackendConnection): Promise<void> {
    if (this.#needsSnapshot()) this.#snapshot = await readBack(connection, this.#carried().state, this.#snapshot);
  }

  /** Rejects with ClientError. `isWanted` is asked when the connection is there. */
  async prepare(
    destination: Destination,
    { keepMs, isWanted }: { keepMs: number; isWanted: () => boolean },
  ): Promise<void> {
    this.drop();
    const [carried, snapshot] = [this.#carried(), this.#latestSnapshot()];
    const prepared = await PreparedMove.open(destination, { carried, snapshot, keepMs });
    if (isWanted()) this.#prepared = prepared;
    else prepared.drop();
  }

  /** At the boundary, while the switch goes on elsewhere. */
  refresh(): void {
    this.#prepared?.refresh(this.#carried(), this.#latestSnapshot());
  }

  /** A connection to `destination` with the state of the session: the prepared one or, without one, a new one. */
  async connect(destination: Destination): Promise<RestoredConnection> {
    const prepared = await this.#takePrepared(destination);
    if (prepared !== null) return prepared;
    return UNPREPARED.run(async () => {
      // The preparation of many sessions may still have been under way.
      const late = await this.#takePrepared(destination);
      return late ?? openRestored(destination, this.#carried(), this.#latestSnapshot());
    });
  }

  /** The hold has ended without a decision, and may begin again soon. */
  dropSoon(): void {
    this.#prepared?.keepFor(NEXT_HOLD_MS);
  }

  drop(): void {
    this.#prepared?.drop();
    this.#prepared = null;
  }

  async #takePrepared(destination: Destination): Promise<RestoredConnection | null> {
    const prepared = this.#prepared;
    this.#prepared = null;
    return prepared === null ? null : prepared.take(destination, this.#carried(), this.#latestSnapshot());
  }

  #needsSnapshot(): boolean {
    const carried = this.#carried();
    if (this.#snapshot !== null && isCurrent(this.#snapshot, carried.state)) return false;
    return carried.state.needsReadBack || this.#prepared?.isStale(carried) === true;
  }

  #latestSnapshot(): SessionSnapshot {
    const { state } = this.#carried();
    return this.#snapshot !== null && isCurrent(this.#snapshot, state) ? this.#snapshot : emptySnapshot(state);
  }
}
