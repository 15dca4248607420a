/** What the watch needs of a session. */
export interface WatchedSession {
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** What its client has not taken yet. */
  readonly pendingBytes: number;
  /** Nothing is under way: the client could send a command. */
  readonly isIdle: boolean;
  /** What the session itself asked for with net_write_timeout; null: nothing. */
  readonly netWriteTimeoutMs: number | null;
  onIdleTooLong(): void;
  onTakesNothing(): void;
}

export interface SessionWatchOptions {
  /** Null: the server's wait_timeout alone decides. */
  idleTimeoutMs: number | null;
  clientStallTimeoutMs: number;
}

interface Seen {
  bytesIn: number;
  bytesOut: number;
  pendingBytes: number;
  sinceMs: number;
}

const LOOKS_PER_TIMEOUT = 10;
const INTERVAL_MAX_MS = 10_000;

/**
 * Ends sessions whose client sends nothing, or takes nothing, for too long. Looks at all of them now and then and compares,
 * so that the way of a packet knows nothing of it. What it is for: the server sees neither once the proxy has taken
 * its answer; while it is still writing, its own net_write_timeout rules.
 */
export class SessionWatch {
  readonly #options: SessionWatchOptions;
  readonly #seen = new WeakMap<WatchedSession, Seen>();

  constructor(options: SessionWatchOptions) {
    this.#options = options;
  }

  /** How often to look. */
  get intervalMs(): number {
    const { idleTimeoutMs, clientStallTimeoutMs } = this.#options;
    const shortest = Math.min(idleTimeoutMs ?? Infinity, clientStallTimeoutMs);
    return Math.max(10, Math.min(INTERVAL_MAX_MS, shortest / LOOKS_PER_TIMEOUT));
  }

  look(sessions: Iterable<WatchedSession>, nowMs: number): void {
    for (const session of sessions) this.#lookAt(session, nowMs);
  }

  #lookAt(session: WatchedSession, nowMs: number): void {
    const { bytesIn, bytesOut, pendingBytes } = session;
    const seen = this.#seen.get(session);
    if (seen?.bytesIn !== bytesIn || seen.bytesOut !== bytesOut || seen.pendingBytes !== pendingBytes) {
      this.#seen.set(session, { bytesIn, bytesOut, pendingBytes, sinceMs: nowMs });
      return;
    }
    const unchangedMs = nowMs - seen.sinceMs;
    const { idleTimeoutMs, clientStallTimeoutMs } = this.#options;
    if (pendingBytes > 0) {
      const limitMs = Math.max(clientStallTimeoutMs, session.netWriteTimeoutMs ?? 0);
      if (unchangedMs >= limitMs) session.onTakesNothing();
    } else if (idleTimeoutMs !== null && session.isIdle && unchangedMs >= idleTimeoutMs) {
      session.onIdleTooLong();
    }
  }
}
