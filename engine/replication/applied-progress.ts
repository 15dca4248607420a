import { abortable } from '../../core/abort.ts';
import type { StreamPosition } from '../../core/gtid.ts';
import type { StreamView } from '../api.ts';
import { coversBut } from '../stream/withheld.ts';

/** How far a stream is, as others are told: the sessions of a `Replication` write it, whoever waits for a position reads it. */
export class AppliedProgress {
  state: StreamView['state'] = 'catching_up';
  /** Kept from one session to the next: see `isBehind`. */
  isBehind = false;
  transactions = 0;
  rowChanges = 0;
  /** Commit at the origin of the oldest transaction that is being applied. */
  writingSinceMs: number | undefined;
  #position: StreamPosition | undefined;
  /** Where lanes stood when the session began, as long as the position does not cover them. */
  #lanesAhead: StreamPosition[] = [];
  /** The rows are not those of the position yet: children without a parent are left. */
  #awaitsCascades = false;
  #changed = Promise.withResolvers<void>();
  #committing: Promise<void> = Promise.resolve();
  #failure: unknown;
  #withheld: () => Iterable<string> = () => [];

  /** It is live. Undefined without a session. */
  get position(): StreamPosition | undefined {
    return this.#position;
  }

  /** The same as long as it says what the rows are: see `Replication.applied`. */
  get applied(): StreamPosition | undefined {
    return this.#lanesAhead.length === 0 && !this.#awaitsCascades ? this.#position : undefined;
  }

  get hasLanesAhead(): boolean {
    return this.#lanesAhead.length > 0;
  }

  get awaitsCascades(): boolean {
    return this.#awaitsCascades;
  }

  begin(
    position: StreamPosition,
    more: { lanesAhead: StreamPosition[]; awaitsCascades: boolean; withheld: () => Iterable<string> },
  ): void {
    this.#position = position;
    this.#withheld = more.withheld;
    this.#lanesAhead = more.lanesAhead;
    this.#awaitsCascades = more.awaitsCascades;
    this.#notify();
  }

  /** A COMMIT without an answer may have happened: what is applied is known again when the progress row was read. */
  endSession(): void {
    this.writingSinceMs = undefined;
    this.#position = undefined;
    this.#withheld = () => [];
  }

  /**
   * Whether the rows are at least those of `wanted`, a position of the origin. What is prepared there is in no position of ours before
   * it ends, and is not waited for.
   */
  reaches(wanted: StreamPosition): boolean {
    const position = this.#position;
    return position !== undefined && coversBut(position, wanted, this.#withheld);
  }

  /** The origin has prepared one more. */
  withheldMore(): void {
    this.#notify();
  }

  advance(gtids: readonly string[]): void {
    const position = this.#position;
    if (position === undefined) return;
    for (const gtid of gtids) position.advance(gtid);
    if (this.#lanesAhead.length > 0) this.#lanesAhead = this.#lanesAhead.filter((ahead) => !position.covers(ahead));
    this.writingSinceMs = undefined;
    this.#notify();
  }

  cascadesSettled(): void {
    this.#awaitsCascades = false;
    this.#notify();
  }

  /** Whoever waits, now or later, is told so. */
  end(state: 'stopped' | 'failed', failure: unknown): void {
    this.state = state;
    this.#failure = failure;
    this.#notify();
  }

  /** Resolves when everything in `position` is applied (see `reaches`); rejects when the stream ends first or `signal` aborts. */
  async waitFor(position: StreamPosition, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#failure !== undefined) throw this.#failure;
      if (this.applied !== undefined && this.reaches(position)) return;
      await abortable(this.#changed.promise, signal);
    }
  }

  /** `tell` is called after the attempt to commit, failed or not: it may have happened. */
  async telling(commit: () => Promise<void>, tell: () => void): Promise<void> {
    const told = Promise.withResolvers<void>();
    this.#committing = told.promise;
    try {
      await commit();
    } finally {
      tell();
      told.resolve();
    }
  }

  /** Resolves when what is being committed at the time of the call, if anything, has been told. */
  async reported(): Promise<void> {
    await this.#committing;
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}
