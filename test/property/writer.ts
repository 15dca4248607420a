import mysql from 'mysql2/promise';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Schedule, Transaction } from './schedule.ts';
import { DATABASE, WRITER } from './soak-stage.ts';

export const COUNTERS = 'soak_counters';

export interface CountStatement {
  sql: string;
  values: number[];
}

/** What a writer counts, so that what it was promised can be asked for. Transactions are numbered from 1. */
export interface Counting {
  within: (transaction: number) => CountStatement[];
  /** As a transaction of its own. */
  alone: ((transaction: number) => CountStatement) | null;
}

export interface WriterOptions {
  id: number;
  script: Schedule['writers'][number];
  port: number;
  signal: AbortSignal;
  /** Waited for before each transaction. */
  gate: () => Promise<void>;
  counting: Counting;
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
 * An application: goes through its transactions again and again and takes every error as it comes. Each one also counts, so that what it
 * was promised can be asked for at the end (I1).
 */
export class Writer {
  readonly id: number;
  readonly done: Promise<void>;
  /** Transactions that were acknowledged, and those without an answer, by their numbers. */
  readonly acknowledged = new Set<number>();
  readonly unknown = new Set<number>();
  statements = 0;
  /** At the gate, with no transaction under way. */
  isWaiting = false;
  readonly errors = new Map<string, number>();
  readonly #options: WriterOptions;
  #connection: mysql.Connection | undefined;
  #number = 0;

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
    const { within, alone } = this.#options.counting;
    this.#number += 1;
    switch (begin === 'xa' && !this.#options.mayPrepare() ? 'begin' : begin) {
      case 'autocommit':
        for (const statement of statements) await this.#statement(connection, statement);
        if (alone !== null) await this.#commit(async () => this.#count(connection, alone(this.#number)));
        return;
      case 'begin':
        await connection.query('BEGIN');
        for (const statement of statements) await this.#statement(connection, statement);
        if (end === 'rollback') await connection.query('ROLLBACK');
        else {
          for (const one of within(this.#number)) await this.#count(connection, one);
          await this.#commit(async () => connection.query('COMMIT'));
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
    const xid = `'w${this.id}-${process.pid}-${this.#number}'`;
    await connection.query(`XA START ${xid}`);
    for (const statement of statements) await this.#statement(connection, statement);
    for (const one of this.#options.counting.within(this.#number)) await this.#count(connection, one);
    await connection.query(`XA END ${xid}`);
    if (end === 'one_phase') {
      await this.#commit(async () => connection.query(`XA COMMIT ${xid} ONE PHASE`));
      return;
    }
    await connection.query(`XA PREPARE ${xid}`);
    if (end === 'rollback') await connection.query(`XA ROLLBACK ${xid}`);
    else await this.#commit(async () => connection.query(`XA COMMIT ${xid}`));
  }

  /** What the server refuses is left out, the transaction goes on; what ends the transaction ends it. */
  async #statement(connection: mysql.Connection, sql: string): Promise<void> {
    try {
      this.statements += 1;
      // MariaDB prepares a LOAD DATA, too, and asks for the file; mysql2 does not answer then.
      if (this.#options.script.prepared && !sql.startsWith('LOAD DATA')) await executeOnce(connection, sql);
      else await connection.query({ sql, infileStreamFactory: lines });
    } catch (error) {
      const { errno, sqlState } = error as ServerFailure;
      if (sqlState === undefined || endsTransaction(errno)) throw error;
      this.#note(error as ServerFailure);
    }
  }

  /** Prepared once in a session, so that it moves with it. */
  async #count(connection: mysql.Connection, { sql, values }: CountStatement): Promise<void> {
    if (this.#options.script.prepared) await connection.execute(sql, values);
    else await connection.query(sql, values);
  }

  async #commit(commit: () => Promise<unknown>): Promise<void> {
    try {
      await commit();
      this.acknowledged.add(this.#number);
    } catch (error) {
      this.unknown.add(this.#number);
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

async function executeOnce(connection: mysql.Connection, sql: string): Promise<void> {
  try {
    await connection.execute(sql);
  } finally {
    connection.unprepare(sql);
  }
}

/** Deadlock and lock wait, those of XA, read-only servers and triggers that refuse. */
function endsTransaction(errno: number | undefined): boolean {
  return errno === undefined || [1205, 1213, 1290, 1399, 1402, 1613, 1614, 1836, 1644, 3100, 3101].includes(errno);
}
