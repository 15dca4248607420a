import { isSameDestination, type Destination } from './backend-connection.ts';
import { isUpToDate, openRestored, refresh, type Carried, type RestoredConnection } from './session-carrier.ts';
import { isCurrent, type SessionSnapshot } from './session-snapshot.ts';
import { pourInto, stopPouring } from './wire-socket.ts';

/** A connection to the other side, opened and restored before the switch, so that the pause need not include it. */
export class PreparedMove {
  readonly #destination: Destination;
  readonly #restored: RestoredConnection;
  #timer: NodeJS.Timeout | undefined;
  #dropped = false;
  #refreshing: Promise<void> | undefined;

  private constructor(destination: Destination, restored: RestoredConnection, keepMs: number) {
    this.#destination = destination;
    this.#restored = restored;
    this.keepFor(keepMs);
    restored.connection.socket.once('close', this.#onGone);
    this.#watch();
  }

  /** Given back when no switch claims it within `keepMs`. */
  static async open(
    destination: Destination,
    { carried, snapshot, keepMs }: { carried: Carried; snapshot: SessionSnapshot; keepMs: number },
  ): Promise<PreparedMove> {
    return new PreparedMove(destination, await openRestored(destination, carried, snapshot), keepMs);
  }

  /** From now on. */
  keepFor(ms: number): void {
    if (this.#dropped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.drop(), ms);
    this.#timer.unref();
  }

  isStale(carried: Carried): boolean {
    return !this.#dropped && !isCurrent(this.#restored, carried.state);
  }

  /** At the boundary, while the switch goes on elsewhere. */
  refresh(carried: Carried, snapshot: SessionSnapshot): void {
    if (this.#dropped || isUpToDate(this.#restored, carried)) return;
    this.#refreshing = this.#refresh(carried, snapshot);
  }

  /** The connection, up to date, for the session to own; null when it cannot be used. */
  async take(
    destination: Destination,
    carried: Carried,
    snapshot: SessionSnapshot,
  ): Promise<RestoredConnection | null> {
    if (!isSameDestination(destination, this.#destination)) this.drop();
    await this.#refreshing;
    if (!this.#dropped && !isUpToDate(this.#restored, carried)) await this.#refresh(carried, snapshot);
    if (this.#dropped) return null;
    this.#dropped = true;
    clearTimeout(this.#timer);
    this.#unwatch();
    return this.#restored;
  }

  async #refresh(carried: Carried, snapshot: SessionSnapshot): Promise<void> {
    this.#unwatch();
    try {
      await refresh(this.#restored, carried, snapshot);
      if (!this.#dropped) this.#watch();
    } catch {
      this.drop();
    }
  }

  /**
   * The server may end it, by the session's own wait_timeout or a KILL. Without reading nobody hears of that, and the session would
   * end with what was said to this connection.
   */
  #watch(): void {
    const { socket } = this.#restored.connection;
    pourInto(socket, this.#onGone);
    socket.resume();
  }

  #unwatch(): void {
    const { socket } = this.#restored.connection;
    stopPouring(socket, this.#onGone);
    socket.pause();
  }

  #onGone = (): void => this.drop();

  drop(): void {
    if (this.#dropped) return;
    this.#dropped = true;
    clearTimeout(this.#timer);
    this.#restored.connection.quit();
  }
}
