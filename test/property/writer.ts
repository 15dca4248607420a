import mysql from 'mysql2/promise';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Schedule, Transaction } from './schedule.ts';
import { DATABASE, WRITER } from './soak-stage.ts';
import { SHARED_ROWS, STRAYS } from './stray-ledger.ts';

export const COUNTERS = 'soak_counters';

export interface WriterOptions {
  id: number;
  script: Schedule['writers'][number];
  port: number;
  signal: AbortSignal;
  /** Waited for before each transaction. */
  gate: () => Promise<void>;
  /** It writes what stray writes are made of, too. */
  sharesRows: boolean;
  /** Until it is true, XA transactions are ordinary ones. */
  mayPrepare: () => boolean;
}

/** What LOAD DATA LOCAL reads. */
export const lines = () => Readable.from([Buffer.from('1\n2\n3\n')]);

interface ServerFailure {
  errno?: number;
  sqlState?: string;
  message: string;
}

/**
 * An application: goes through its transactions again and again and takes every error as it comes. Each transaction of
 * several statements also counts up a row of its own, so that what it was promised can be asked for at the end (I1).
 */
export class Writer {
  readonly id: number;
  readonly done: Promise<void>;
  /** Commits that were acknowledged, and those without an answer. */
  acknowledged = 0;
  unknown = 0;
  statements = 0;
  /** At the gate, with no transaction under way. */
  isWaiting = false;
  readonly errors = new Map<string, number>();
  readonly #options: WriterOptions;
  #connection: mysql.Connection | undefined;
  #xid = 0;

  constructor(options: WriterOptions) {
    this.id = options.id;
    this.#options = options;
    this.done = this.#run();
  }

  async #run(): Promise<void> {
    const { script, signal } = this.#options;
    // A statement that hangs in a stalled connection must not hold the end up.
    const cut = () => this.#connection?.destroy();
    while (!signal.aborted) {
      for (const transaction of script.transactions) {
        this.isWaiting = true;
        await this.#options.gate();
        this.isWaiting = false;
        if (signal.aborted) break;
        await this.#transaction(transaction).catch((error: unknown) => this.#failed(error as ServerFailure));
        await delay(script.pauseMs, undefined, { signal }).catch(() => {});
      }
    }
    this.isWaiting = true;
    const timer = setTimeout(cut, 5000);
    await this.#connection?.end().catch(() => {});
    clearTimeout(timer);
  }

  async #transaction({ begin, statements, end }: Transaction): Promise<void> {
    const connection = (this.#connection ??= await this.#connect());
    switch (begin === 'xa' && !this.#options.mayPrepare() ? 'begin' : begin) {
      case 'autocommit':
        for (const statement of statements) await this.#statement(connection, statement);
        return;
      case 'begin':
        await connection.query('BEGIN');
        for (const statement of statements) await this.#statement(connection, statement);
        if (end === 'rollback') await connection.query('ROLLBACK');
        else {
          await this.#count(connection);
          await this.#commit(connection, 'COMMIT');
        }
        return;
      case 'xa':
        await this.#xa(connection, statements, end);
        return;
      default:
        throw new Error(`no such beginning: ${begin}`);
    }
  }

  async #xa(connection: mysql.Connection, statements: string[], end: Transaction['end']): Promise<void> {
    this.#xid += 1;
    const xid = `'w${this.id}-${process.pid}-${this.#xid}'`;
    await connection.query(`XA START ${xid}`);
    for (const statement of statements) await this.#statement(connection, statement);
    await this.#count(connection);
    await connection.query(`XA END ${xid}`);
    if (end === 'one_phase') {
      await this.#commit(connection, `XA COMMIT ${xid} ONE PHASE`);
      return;
    }
    await connection.query(`XA PREPARE ${xid}`);
    if (end === 'rollback') await connection.query(`XA ROLLBACK ${xid}`);
    else await this.#commit(connection, `XA COMMIT ${xid}`);
  }

  /** What the server refuses is left out, the transaction goes on; what ends the transaction ends it. */
  async #statement(connection: mysql.Connection, sql: string): Promise<void> {
    try {
      this.statements += 1;
      await connection.query({ sql, infileStreamFactory: lines });
    } catch (error) {
      const { errno, sqlState } = error as ServerFailure;
      if (sqlState === undefined || endsTransaction(errno)) throw error;
      this.#note(error as ServerFailure);
    }
  }

  async #count(connection: mysql.Connection): Promise<void> {
    await connection.query(`UPDATE ${COUNTERS} SET n = n + 1 WHERE id = ${this.id}`);
    if (this.#options.sharesRows)
      await connection.query(`UPDATE ${STRAYS} SET written = written + 1 WHERE id = ${this.id % SHARED_ROWS}`);
  }

  async #commit(connection: mysql.Connection, sql: string): Promise<void> {
    try {
      await connection.query(sql);
      this.acknowledged += 1;
    } catch (error) {
      this.unknown += 1;
      throw error;
    }
  }

  #failed(error: ServerFailure): void {
    this.#note(error);
    const connection = this.#connection;
    this.#connection = undefined;
    // Also after a deadlock: a new session is the sure way to a clean state, XA included.
    connection?.destroy();
  }

  #note({ errno, message }: ServerFailure): void {
    const name = errno === undefined ? message.slice(0, 60) : String(errno);
    this.errors.set(name, (this.errors.get(name) ?? 0) + 1);
  }

  async #connect(): Promise<mysql.Connection> {
    const connection = await mysql.createConnection({
      host: '127.0.0.1',
      port: this.#options.port,
      database: DATABASE,
      ...WRITER,
      connectTimeout: 3000,
    });
    connection.on('error', () => {});
    for (const setting of this.#options.script.session)
      await connection.query(setting).catch((error: unknown) => this.#note(error as ServerFailure));
    return connection;
  }
}

/** Deadlock and lock wait, those of XA, read-only servers and triggers that refuse. */
function endsTransaction(errno: number | undefined): boolean {
  return errno === undefined || [1205, 1213, 1290, 1399, 1402, 1613, 1614, 1836, 1644, 3100, 3101].includes(errno);
}
