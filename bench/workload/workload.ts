import { setTimeout as delay } from 'node:timers/promises';
import type { ShopSize } from '../../demo/shop-size.ts';
import { Ledger } from './ledger.ts';
import {
  LEDGER_OPERATIONS,
  sessionStatements,
  WrongAnswer,
  type Operation,
  type OperationContext,
} from './operations.ts';
import { PauseMeter } from './pause-meter.ts';
import { SHOP_OPERATIONS } from './shop-operations.ts';
import { TrafficConnection, type TrafficEndpoint } from './traffic-connection.ts';

export interface WorkloadOptions {
  primary: TrafficEndpoint;
  /** Where reads go that need not be the newest; left out: the primary. */
  replica?: TrafficEndpoint;
  sessions: number;
  /** All sessions together; left out: as fast as they can. */
  operationsPerSecond?: number;
  /** Sizes of the shop's tables; left out: the workload uses its own tables only. */
  shop?: ShopSize;
  /**
   * As pools do: a connection that the server ended while it was idle is opened anew, and so is one whose next statement is
   * answered with 1053 (shutdown), which promises that it was not run. Neither counts as an error; else both do.
   */
  reconnectsWhenTold?: boolean;
}

export interface ClientError {
  atMs: number;
  session: number;
  operation: string;
  message: string;
}

export interface WorkloadStats {
  operations: number;
  acknowledgedWrites: number;
  unknownWrites: number;
  clientErrors: number;
  wrongAnswers: number;
  /** How often a statement or a login was answered with 1053. */
  toldToReconnect: number;
}

/** How many errors are kept with their text; all are counted. */
const ERRORS_KEPT = 200;
/** ER_SERVER_SHUTDOWN. */
const SHUTDOWN = 1053;

/** Live traffic of many clients, each one statement at a time, with an exact account of what they were promised. */
export class Workload {
  readonly ledger: Ledger;
  readonly meter: PauseMeter;
  /** The first ones. */
  readonly errors: ClientError[] = [];
  readonly #options: WorkloadOptions;
  readonly #operations: readonly Operation[];
  readonly #stop = new AbortController();
  #running: Promise<void>[] = [];
  #operationCount = 0;
  #errorCount = 0;
  #wrongAnswers = 0;
  #toldCount = 0;

  /** The workload's tables must exist (`createLedgerTables`), with as many counters as there are sessions. */
  static start(options: WorkloadOptions): Workload {
    const workload = new Workload(options);
    workload.#running = workload.ledger.sessions.map((_, session) => workload.#run(session));
    return workload;
  }

  private constructor(options: WorkloadOptions) {
    this.#options = options;
    this.ledger = new Ledger(options.sessions, (error) => this.#isTold(error));
    this.meter = new PauseMeter(options.sessions);
    this.#operations = options.shop === undefined ? LEDGER_OPERATIONS : [...LEDGER_OPERATIONS, ...SHOP_OPERATIONS];
  }

  get stats(): WorkloadStats {
    return {
      operations: this.#operationCount,
      acknowledgedWrites: this.ledger.acknowledged,
      unknownWrites: this.ledger.unknown,
      clientErrors: this.#errorCount,
      wrongAnswers: this.#wrongAnswers,
      toldToReconnect: this.#toldCount,
    };
  }

  /** Lets every session finish what it is doing; after that the ledger is final. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  async #run(session: number): Promise<void> {
    const { primary: primaryEndpoint, replica: replicaEndpoint = primaryEndpoint, shop = null } = this.#options;
    const connect = (endpoint: TrafficEndpoint) =>
      new TrafficConnection({
        endpoint,
        session,
        meter: this.meter,
        prepareSession: async (connection) => {
          for (const statement of sessionStatements(session)) await connection.query(statement);
        },
      });
    const context: OperationContext = {
      session,
      ledger: this.ledger,
      primary: connect(primaryEndpoint),
      replica: connect(replicaEndpoint),
      shop,
    };
    const { signal } = this.#stop;
    const periodMs = this.#periodMs();
    // Spread over one period, so that the sessions do not march in step.
    await this.#pause(Math.random() * periodMs);
    while (!signal.aborted) {
      const startedAt = performance.now();
      await this.#once(context);
      await this.#pause(periodMs * (0.5 + Math.random()) - (performance.now() - startedAt));
    }
    await Promise.all([context.primary.close(), context.replica.close()]);
  }

  async #once(context: OperationContext): Promise<void> {
    const operation = this.#choose();
    if (this.#options.reconnectsWhenTold === true) {
      context.primary.dropIfEnded();
      context.replica.dropIfEnded();
    }
    try {
      await operation.run(context);
      this.#operationCount += 1;
    } catch (error) {
      this.#note(context.session, operation.name, error);
      // After an error in the middle of a transaction only a new connection is in a known state.
      const { signal } = this.#stop;
      for (const connection of [context.primary, context.replica]) {
        await connection.recover(signal, (again) => this.#note(context.session, 'connect', again));
      }
    }
  }

  #choose(): Operation {
    const total = this.#operations.reduce((sum, { weight }) => sum + weight, 0);
    let left = Math.random() * total;
    for (const operation of this.#operations) {
      left -= operation.weight;
      if (left < 0) return operation;
    }
    throw new RangeError('no operations');
  }

  #isTold(error: unknown): boolean {
    if (this.#options.reconnectsWhenTold !== true || !(error instanceof Error)) return false;
    // mysql2 gives an error that comes unasked its number as the code.
    return ('errno' in error && error.errno === SHUTDOWN) || ('code' in error && Number(error.code) === SHUTDOWN);
  }

  #note(session: number, operation: string, error: unknown): void {
    if (this.#isTold(error)) {
      this.#toldCount += 1;
      return;
    }
    this.#errorCount += 1;
    if (error instanceof WrongAnswer) this.#wrongAnswers += 1;
    const message =
      error instanceof Error ? error.message || String('code' in error ? error.code : error.name) : String(error);
    if (this.errors.length < ERRORS_KEPT) this.errors.push({ atMs: Date.now(), session, operation, message });
  }

  #periodMs(): number {
    const { operationsPerSecond, sessions } = this.#options;
    return operationsPerSecond === undefined ? 0 : (sessions * 1000) / operationsPerSecond;
  }

  async #pause(ms: number): Promise<void> {
    // Even without a bound a turn of the event loop, so that one fast session does not starve the timers.
    await delay(Math.max(0, ms), undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }
}
