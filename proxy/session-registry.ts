import type { LocateRequest, SessionLocation } from '../core/control/protocol.ts';
import { ROLES, type Role } from '../core/routing-record.ts';
import { CLIENT_ERROR } from './client-error.ts';
import { isProxyConnectionId } from './connection-ids.ts';
import type { ProxyMetrics } from './session-metrics.ts';
import type { Session } from './session.ts';

const MOVES_PER_TURN = 4;

/** The sessions of this worker, by the connection id that each client was told. */
export class SessionRegistry {
  readonly #sessions = new Map<number, Session>();
  #emptied = Promise.withResolvers<void>();

  get size(): number {
    return this.#sessions.size;
  }

  add(session: Session): void {
    this.#sessions.set(session.connectionId, session);
  }

  delete(session: Session): void {
    this.#sessions.delete(session.connectionId);
    if (this.#sessions.size > 0) return;
    this.#emptied.resolve();
    this.#emptied = Promise.withResolvers();
  }

  has(connectionId: number): boolean {
    return this.#sessions.has(connectionId);
  }

  all(): Iterable<Session> {
    return this.#sessions.values();
  }

  ofRoles(roles: readonly Role[]): Session[] {
    return [...this.#sessions.values()].filter(({ role }) => roles.includes(role));
  }

  /** At once where there are none. */
  async emptied(): Promise<void> {
    if (this.#sessions.size > 0) await this.#emptied.promise;
  }

  /** By our id, or by one of a server that the session has left. */
  locate({ id, killed }: LocateRequest): SessionLocation | null {
    const session = this.#find(id);
    if (killed !== undefined) session?.onKilled(killed);
    return session?.location() ?? null;
  }

  /**
   * After a change of the route. First come, first served: those whose command waits longest begin to move first. Once
   * nothing is held (`inTurns`), those that keep nothing follow when these are on their way: moving all at once makes every held
   * command wait for the last session.
   */
  reconsider({ inTurns }: { inTurns: boolean }): void {
    const sessions = [...this.#sessions.values()].sort((a, b) => (a.heldSince ?? Infinity) - (b.heldSince ?? Infinity));
    const later = inTurns ? sessions.filter((session) => session.isHeldIdle) : [];
    const now = later.length === 0 ? sessions : sessions.filter((session) => !session.isHeldIdle);
    for (const session of now) session.reconsider();
    this.#reconsiderLater(later);
  }

  /** The operator's policy for a switch. */
  close(ids: ReadonlySet<string>): void {
    for (const session of this.#sessions.values())
      if (ids.has(session.id)) session.fail(CLIENT_ERROR.closedForSwitch());
  }

  countInto({ sessions, held }: ProxyMetrics): void {
    sessions.reset();
    for (const role of ROLES) for (const side of ['source', 'target'] as const) sessions.set({ role, side }, 0);
    for (const session of this.#sessions.values()) sessions.inc({ role: session.role, side: session.destination.side });
    held.set([...this.#sessions.values()].filter(({ heldSince }) => heldSince !== null).length);
  }

  #find(id: number): Session | undefined {
    const known = this.#sessions.get(id);
    if (known !== undefined || isProxyConnectionId(id)) return known;
    return [...this.#sessions.values()].find((session) => session.wasKnownAs(id));
  }

  /** A few in each turn of the event loop. One that gets a command meanwhile keeps it until its turn. */
  #reconsiderLater(sessions: Session[]): void {
    if (sessions.length === 0) return;
    setImmediate(() => {
      for (const session of sessions.splice(0, MOVES_PER_TURN)) session.reconsider();
      this.#reconsiderLater(sessions);
    });
  }
}
