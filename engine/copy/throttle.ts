import { setTimeout as delay } from 'node:timers/promises';
import { abortable } from '../../core/abort.ts';
import type { CopyThrottle, ServerDefinition } from '../api.ts';
import { ServerConnection } from '../server/connection.ts';
import { replicaStatus } from '../server/replica-channels.ts';
import { isTransient } from './is-transient.ts';

const SAMPLE_MS = 1000;

export interface ThrottleOptions {
  /** The server that the copy reads from. */
  server: ServerDefinition;
  limits: CopyThrottle;
  /** The reason why no chunk begins, and null when they begin again. */
  onChange: (reason: string | null) => void;
}

/**
 * Lets a chunk begin only while the server that is read from is well. Looked at once a second at most, and only while
 * somebody wants to begin: chunks under way end, since stopping in the middle of a SELECT would keep its snapshot open.
 */
export class Throttle implements AsyncDisposable {
  readonly #options: ThrottleOptions;
  #connection: ServerConnection | undefined;
  #reason: string | null = null;
  #sampledAtMs = Number.NEGATIVE_INFINITY;
  #sampling: Promise<void> | undefined;

  constructor(options: ThrottleOptions) {
    this.#options = options;
  }

  /** Resolves when a chunk may begin. Rejects with what the server answers where it may not be asked. */
  async pass(signal: AbortSignal): Promise<void> {
    if (Object.values(this.#options.limits).every((limit) => limit === null)) return;
    for (;;) {
      await abortable(this.#fresh(), signal);
      if (this.#reason === null) return;
      await delay(SAMPLE_MS, undefined, { signal });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sampling?.catch(() => {});
    await this.#connection?.close();
  }

  async #fresh(): Promise<void> {
    if (this.#sampling === undefined && performance.now() - this.#sampledAtMs < SAMPLE_MS) return;
    this.#sampling ??= this.#sample().finally(() => {
      this.#sampling = undefined;
    });
    await this.#sampling;
  }

  async #sample(): Promise<void> {
    const reason = await this.#look();
    this.#sampledAtMs = performance.now();
    if ((reason === null) !== (this.#reason === null)) this.#options.onChange(reason);
    this.#reason = reason;
  }

  async #look(): Promise<string | null> {
    const { sourceLatencyMs, historyLengthMax, replicaLagMs } = this.#options.limits;
    try {
      if (this.#connection === undefined || this.#connection.broken)
        this.#connection = await ServerConnection.open(this.#options.server);
      const connection = this.#connection;
      if (sourceLatencyMs !== null) {
        const latencyMs = await latencyOf(connection);
        if (latencyMs > sourceLatencyMs) return `the source takes ${Math.round(latencyMs)} ms for SELECT 1`;
      }
      if (historyLengthMax !== null) {
        const length = await historyLength(connection);
        if (length > historyLengthMax) return `the source has ${length} old row versions to purge`;
      }
      if (replicaLagMs !== null) {
        const lagMs = await replicaLag(connection);
        if (lagMs > replicaLagMs) return `the replica that is read from is ${lagMs} ms behind`;
      }
      return null;
    } catch (error) {
      if (isTransient(error)) return 'the source does not answer';
      throw error;
    }
  }
}

async function latencyOf(connection: ServerConnection): Promise<number> {
  const startedAtMs = performance.now();
  await connection.rows('SELECT 1');
  return performance.now() - startedAtMs;
}

/** Needs PROCESS. SELECTs of the copy keep old versions from being purged, which slows every reader of hot rows. */
async function historyLength(connection: ServerConnection): Promise<number> {
  const [row] = await connection.rows(
    "SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME = 'trx_rseg_history_len'",
  );
  return Number(row?.[0] ?? 0);
}

/** Needs REPLICATION CLIENT. 0 for a server that is no replica, or one that does not know (its threads are stopped). */
async function replicaLag(connection: ServerConnection): Promise<number> {
  const rows = await replicaStatus(connection);
  const lags = rows.map((row) => Number(row['Seconds_Behind_Source'] ?? row['Seconds_Behind_Master'] ?? 0));
  return Math.max(0, ...lags) * 1000;
}
