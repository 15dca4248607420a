import { abortable, isAbort } from '../../core/abort.ts';
import { Backoff } from '../../core/backoff.ts';
import { AppError } from '../../core/errors.ts';
import type { ServerDefinition, ServerFacts } from '../api.ts';
import { errnoOf, ServerConnection, type Bytes } from '../server/connection.ts';

export interface Flavors {
  source: ServerFacts['flavor'];
  target: ServerFacts['flavor'];
}

/** How long both servers may be out of reach in a row. */
const OUTAGE_MS_MAX = 120_000;

/** REPEATABLE READ: what is read in one transaction is read from one snapshot. */
const SESSION: Record<ServerFacts['flavor'], Bytes[]> = {
  mysql: ['SET SESSION max_execution_time = 0', 'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ'],
  mariadb: ['SET SESSION max_statement_time = 0', 'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ'],
};

export interface OpenPair {
  source: ServerConnection;
  target: ServerConnection;
}

export interface ConnectionPairOptions {
  flavors: Flavors;
  source: ServerDefinition;
  target: ServerDefinition;
  signal: AbortSignal;
}

/** A connection to each side, opened when first used and again after one was lost. One user at a time. */
export class ConnectionPair implements Disposable {
  readonly #options: ConnectionPairOptions;
  #open: OpenPair | undefined;

  constructor(options: ConnectionPairOptions) {
    this.#options = options;
  }

  /** Runs `work`, from its beginning again when a connection is lost under it: it only reads. */
  async use<T>(work: (pair: OpenPair) => Promise<T>): Promise<T> {
    const { signal } = this.#options;
    const backoff = new Backoff({ initialMs: 100, maxMs: 5000 });
    const deadlineMs = performance.now() + OUTAGE_MS_MAX;
    for (;;) {
      signal.throwIfAborted();
      try {
        this.#open ??= await this.#connect();
        return await abortable(work(this.#open), signal);
      } catch (error) {
        this[Symbol.dispose]();
        if (isAbort(error) || !isOutage(error) || performance.now() > deadlineMs) throw error;
      }
      await backoff.wait(signal);
    }
  }

  [Symbol.dispose](): void {
    this.#open?.source.destroy();
    this.#open?.target.destroy();
    this.#open = undefined;
  }

  async #connect(): Promise<OpenPair> {
    const { flavors, source, target } = this.#options;
    const first = await ServerConnection.open(source, { session: SESSION[flavors.source] });
    try {
      return { source: first, target: await ServerConnection.open(target, { session: SESSION[flavors.target] }) };
    } catch (error) {
      first.destroy();
      throw error;
    }
  }
}

/** Of one of our connections: a replication that has ended says SERVER_GONE too, but names no server's answer. */
function isOutage(error: unknown): boolean {
  return (
    error instanceof AppError &&
    (error.code === 'SERVER_UNREACHABLE' || (error.code === 'SERVER_GONE' && errnoOf(error) === 0))
  );
}
