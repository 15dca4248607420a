import { createConnection } from 'mysql2';
import type mysql from 'mysql2/promise';
import type { ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import { Backoff } from '../../core/backoff.ts';
import type { PauseMeter } from './pause-meter.ts';

export interface TrafficEndpoint {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
}

interface TrafficConnectionOptions {
  endpoint: TrafficEndpoint;
  session: number;
  meter: PauseMeter;
  /** Runs on each new connection, as an application's pool does. */
  prepareSession: (connection: mysql.Connection) => Promise<void>;
}

/**
 * A client's connection as an application's driver holds it: opened when needed, dropped after an error that broke it,
 * every answer timed. It never repeats a statement: whether that is safe only the caller knows.
 */
export class TrafficConnection {
  readonly #options: TrafficConnectionOptions;
  #connection: mysql.Connection | undefined;
  /** What the server ended it with while nobody used it; a statement after that says less. */
  #endedWith: Error | undefined;

  constructor(options: TrafficConnectionOptions) {
    this.#options = options;
  }

  /** A statement in the text protocol. */
  async query(sql: string): Promise<RowDataPacket[]> {
    return this.#timed(async (connection) => rowsOf(await connection.query<RowDataPacket[] | ResultSetHeader>(sql)));
  }

  /** A prepared statement in the binary protocol; the driver keeps it prepared. */
  async execute(sql: string, values: (string | number)[]): Promise<RowDataPacket[]> {
    return this.#timed(async (connection) =>
      rowsOf(await connection.execute<RowDataPacket[] | ResultSetHeader>(sql, values)),
    );
  }

  async insert(sql: string, values: (string | number)[]): Promise<number> {
    return this.#timed(async (connection) => (await connection.execute<ResultSetHeader>(sql, values))[0].insertId);
  }

  /** Connects anew after an error, until it works or `signal` aborts; each failed attempt is told to `onError`. */
  async recover(signal: AbortSignal, onError: (error: unknown) => void): Promise<void> {
    this.drop();
    const backoff = new Backoff({ initialMs: 20, maxMs: 1000 });
    this.#options.meter.started(this.#options.session);
    while (!signal.aborted) {
      try {
        await this.#open();
        break;
      } catch (error) {
        onError(error);
        await backoff.wait(signal).catch(() => undefined);
      }
    }
    this.#options.meter.answered(this.#options.session);
  }

  drop(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
    this.#endedWith = undefined;
  }

  /** To be called between transactions. */
  dropIfEnded(): void {
    if (this.#endedWith !== undefined) this.drop();
  }

  async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    // At the end the server may be gone already; nobody waits for its goodbye.
    await connection?.end().catch(() => undefined);
  }

  async #timed<T>(work: (connection: mysql.Connection) => Promise<T>): Promise<T> {
    const { meter, session } = this.#options;
    meter.started(session);
    try {
      return await work(await this.#open());
    } catch (error) {
      throw this.#endedWith ?? error;
    } finally {
      meter.answered(session);
    }
  }

  async #open(): Promise<mysql.Connection> {
    if (this.#connection !== undefined) return this.#connection;
    const core = createConnection({
      ...this.#options.endpoint,
      charset: 'utf8mb4',
      supportBigNumbers: true,
      bigNumberStrings: true,
      dateStrings: true,
      connectTimeout: 10_000,
    });
    const connection = core.promise();
    // Without a listener an idle connection that breaks would end the process; the next statement reports it. From the start: a
    // server may end a session right behind its login.
    let endedWith: Error | undefined;
    core.on('error', (error) => {
      endedWith ??= error;
      if (this.#connection === connection) this.#endedWith = endedWith;
    });
    try {
      await connection.connect();
      await this.#options.prepareSession(connection);
    } catch (error) {
      throw endedWith ?? error;
    }
    this.#connection = connection;
    this.#endedWith = endedWith;
    return connection;
  }
}

function rowsOf([result]: [RowDataPacket[] | ResultSetHeader, unknown]): RowDataPacket[] {
  return Array.isArray(result) ? result : [];
}
