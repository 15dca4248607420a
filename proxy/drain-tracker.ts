import type { PinnedSession, ProxyState } from '../core/control/protocol.ts';

/** What the tracker needs of a session. */
export interface DrainableSession {
  /** Null once nothing is under way on its server and everything to carry over was read. */
  undrainedReasons(): string[] | null;
  describe(reasons: string[]): PinnedSession;
}

export interface DrainProgress {
  state: ProxyState;
  undrained: PinnedSession[];
}

/** How long changes of who is still undrained are gathered before they are told. */
const REPORT_INTERVAL_MS = 50;

/**
 * Knows when no session of the held roles has anything under way. Driven by the sessions' own events: `settled` at
 * their boundary, `left` at their end; nothing is polled.
 */
export class DrainTracker<Session extends DrainableSession> {
  readonly #report: (progress: DrainProgress) => void;
  #unsettled = new Set<Session>();
  #active = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(report: (progress: DrainProgress) => void) {
    this.#report = report;
  }

  /** Begins with the sessions of the held roles; ends the former hold. */
  begin(sessions: Iterable<Session>): void {
    this.end();
    this.#active = true;
    for (const session of sessions) if (session.undrainedReasons() !== null) this.#unsettled.add(session);
    this.#report(this.#progress());
  }

  end(): void {
    this.#active = false;
    this.#unsettled = new Set();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  settled(session: Session): void {
    if (!this.#active || !this.#unsettled.delete(session)) return;
    if (this.#unsettled.size === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#report(this.#progress());
    } else {
      this.#reportSoon();
    }
  }

  /** At its boundary it turned out to have a reason to stay: without a report nobody would know for whom the switch waits. */
  stays(session: Session): void {
    if (this.#active && this.#unsettled.has(session)) this.#reportSoon();
  }

  left(session: Session): void {
    this.settled(session);
  }

  #reportSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#report(this.#progress());
    }, REPORT_INTERVAL_MS);
  }

  #progress(): DrainProgress {
    // Without a reason: about to settle by itself.
    const undrained = [...this.#unsettled]
      .map((session) => session.describe(session.undrainedReasons() ?? []))
      .filter(({ reasons }) => reasons.length > 0);
    return { state: this.#unsettled.size === 0 ? 'drained' : 'applied', undrained };
  }
}
