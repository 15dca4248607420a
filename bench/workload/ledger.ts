/** What one session knows about its own writes. */
export interface SessionLedger {
  /** Sequence numbers of inserts whose commit was acknowledged. */
  readonly acknowledged: Set<number>;
  /** Sequence numbers of inserts that ended in an error: they may or may not be there. */
  readonly unknown: Set<number>;
  /** The newest acknowledged insert. */
  lastAcknowledged: number | null;
  acknowledgedIncrements: number;
  unknownIncrements: number;
}

/**
 * The exact record of what a live workload was promised. Every write is either acknowledged (must be on the primary,
 * once, for ever: I1) or unknown (its statement ended in an error, and MySQL's protocol does not tell which). Inserts
 * carry a unique number, so a lost one is named; increments show what was applied twice, which a unique key would hide.
 */
export class Ledger {
  readonly sessions: readonly SessionLedger[];
  readonly #next: number[];
  readonly #isRefusal: (error: unknown) => boolean;

  /** `isRefusal`: an error that promises that nothing was done. */
  constructor(sessions: number, isRefusal: (error: unknown) => boolean = () => false) {
    this.#isRefusal = isRefusal;
    this.sessions = Array.from({ length: sessions }, (): SessionLedger => ({
      acknowledged: new Set<number>(),
      unknown: new Set<number>(),
      lastAcknowledged: null,
      acknowledgedIncrements: 0,
      unknownIncrements: 0,
    }));
    this.#next = this.sessions.map(() => 1);
  }

  get acknowledged(): number {
    return sum(this.sessions.map((session) => session.acknowledged.size + session.acknowledgedIncrements));
  }

  get unknown(): number {
    return sum(this.sessions.map((session) => session.unknown.size + session.unknownIncrements));
  }

  /** Runs `work`, which must commit the row (`session`, sequence), and records how it ended. */
  async insert(session: number, work: (sequence: number) => Promise<void>): Promise<void> {
    const own = this.of(session);
    const sequence = this.#next[session] ?? 1;
    this.#next[session] = sequence + 1;
    try {
      await work(sequence);
    } catch (error) {
      if (!this.#isRefusal(error)) own.unknown.add(sequence);
      throw error;
    }
    own.acknowledged.add(sequence);
    own.lastAcknowledged = sequence;
  }

  /** Runs `work`, which must commit one increment of the session's counter, and records how it ended. */
  async increment(session: number, work: () => Promise<void>): Promise<void> {
    const own = this.of(session);
    try {
      await work();
    } catch (error) {
      if (!this.#isRefusal(error)) own.unknownIncrements += 1;
      throw error;
    }
    own.acknowledgedIncrements += 1;
  }

  of(session: number): SessionLedger {
    const own = this.sessions[session];
    if (own === undefined) throw new RangeError(`there is no session ${session}`);
    return own;
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
