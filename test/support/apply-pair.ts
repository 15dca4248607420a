import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../../core/errors.ts';
import type { Flavor as Family, StreamPosition } from '../../core/gtid.ts';
import type { DdlHandler } from '../../engine/replication/replication-options.ts';
import { Replication } from '../../engine/replication/replication.ts';
import { insertColumns, literal, selectExpression } from '../../engine/schema/column-sql.ts';
import { StreamSchema } from '../../engine/ddl/stream-schema.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import { executedPosition } from '../../engine/server/position.ts';
import { createSidecar, ProgressRow } from '../../engine/sidecar.ts';
import { FLAVOR_SPECS, type Flavor } from '../../servers/flavor.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import { definitionOf } from './stream-fixture.ts';

/** Backlogs of thousands of transactions are made in a moment without waiting for a disk. */
const HASTY = ['--sync-binlog=0', '--innodb-flush-log-at-trx-commit=0'];

/** Changes nothing of a table n. */
const BARRIER = 'ALTER TABLE n COMMENT = "barrier"';

const skipBarriers: DdlHandler = async ({ ddl }) => {
  if (ddl.sql === BARRIER) return 'skipped';
  throw new AppError('DDL_STOPPED', ddl.sql);
};

/** A source and a target, and one replicated database for each test. */
export class ApplyPair implements AsyncDisposable {
  readonly source: ServerConnection;
  readonly target: ServerConnection;
  /** Of the source. */
  readonly family: Family;
  readonly #stack: AsyncDisposableStack;

  static async start(flavors: { source?: Flavor; target?: Flavor } = {}): Promise<ApplyPair> {
    await using stack = new AsyncDisposableStack();
    const open = async (server: RunningServer) =>
      stack.use(await ServerConnection.open(definitionOf(stack.use(server)), { multiStatements: true }));
    const { source: from = 'mysql-9.7', target: to = 'mysql-9.7' } = flavors;
    const source = await open(await startServer({ flavor: from, role: 'source', options: HASTY }));
    const target = await open(await startServer({ flavor: to, role: 'target', options: HASTY }));
    await createSidecar(target);
    return new ApplyPair(stack.move(), { source, target, family: FLAVOR_SPECS[from].family });
  }

  private constructor(
    stack: AsyncDisposableStack,
    { source, target, family }: { source: ServerConnection; target: ServerConnection; family: Family },
  ) {
    this.#stack = stack;
    this.family = family;
    this.source = source;
    this.target = target;
  }

  /** A database on both sides whose stream begins here; `targetTables` where they are not the same. */
  async database(name: string, tables: string[], targetTables = tables): Promise<PairDatabase> {
    for (const [connection, ddls] of [
      [this.source, tables],
      [this.target, targetTables],
    ] as const) {
      await connection.write(`CREATE DATABASE ${name}`);
      await connection.write(`USE ${name}`);
      for (const ddl of ddls) await connection.write(ddl);
    }
    const progress = new ProgressRow(name, 'forward');
    await progress.reset(this.target, (await this.position()).toString());
    await new StreamSchema(name, 'forward').load(this.target, () => inspectTables(this.source, name, 'all'));
    return new PairDatabase(this, name, progress);
  }

  /**
   * Begins a stream by `start` and keeps its first window, which has to write row `heldId` of table n, from being applied
   * until the source has sent all that it has. So much waits then as the test has made, however slow the machine is.
   */
  async withAllWaiting<T>(database: string, heldId: number, start: () => T): Promise<T> {
    await using blocker = await ServerConnection.open(this.target.server);
    await blocker.write('BEGIN');
    await blocker.write(`INSERT INTO ${database}.n VALUES (${heldId}, 0)`);
    const before = new Set((await this.#dumps()).map(({ Id }) => Id));
    const started = start();
    const deadlineMs = Date.now() + 60_000;
    const hasSentAll = async () =>
      (await this.#dumps()).some(
        ({ Id, State }) => !before.has(Id) && State?.startsWith('Source has sent all') === true,
      );
    while (Date.now() < deadlineMs && !(await hasSentAll())) await delay(20);
    await blocker.write('ROLLBACK');
    return started;
  }

  /** Those of earlier streams stay for a while after their end. */
  async #dumps(): Promise<{ Id: string; State: string | null }[]> {
    const sessions = await this.source.select<{ Id: string; Command: string; State: string | null }>(
      'SHOW PROCESSLIST',
    );
    return sessions.filter(({ Command }) => Command.startsWith('Binlog Dump'));
  }

  async position(): Promise<StreamPosition> {
    return await executedPosition(this.source, this.family);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

export class PairDatabase {
  readonly name: string;
  readonly progress: ProgressRow;
  readonly #pair: ApplyPair;
  readonly #controller = new AbortController();

  constructor(pair: ApplyPair, name: string, progress: ProgressRow) {
    this.#pair = pair;
    this.name = name;
    this.progress = progress;
  }

  /** Each argument is one transaction of the source. */
  async run(...transactions: string[][]): Promise<void> {
    await this.#pair.source.write(`USE ${this.name}`);
    for (const statements of transactions) await this.#pair.source.batch(['BEGIN', ...statements, 'COMMIT']);
  }

  /** Puts all rows on the target that the source has now, as a copy does. */
  async copyNow(): Promise<void> {
    const { source, target } = this.#pair;
    for (const table of await inspectTables(source, this.name, 'all')) {
      const columns = insertColumns(table);
      const names = columns.map(({ name }) => name).join(',');
      const list = columns.map(selectExpression).join(',');
      for (const row of await source.rows(`SELECT ${list} FROM ${this.name}.${table.name}`)) {
        const values = columns.map((column, i) => literal(column)(row[i] ?? null)).join(',');
        await target.write(`INSERT INTO ${this.name}.${table.name} (${names}) VALUES (${values})`);
      }
    }
  }

  /** What is before and what is after are in different windows: DDL is alone. */
  async barrier(): Promise<void> {
    await this.#pair.source.write(`USE ${this.name}`);
    await this.#pair.source.write(BARRIER);
  }

  /** `exact`: from the beginning; otherwise rows may be of another time. */
  follow(exact: boolean, onDdl: DdlHandler = skipBarriers): Replication {
    const { source, target } = this.#pair;
    return new Replication(
      {
        importId: this.name,
        direction: 'forward',
        origin: source.server,
        destination: target.server,
        flavor: this.#pair.family,
        database: this.name,
        ...(exact ? { exactFrom: '' } : {}),
        loadTables: async () => {
          await using connection = await ServerConnection.open(source.server);
          return await inspectTables(connection, this.name, 'all');
        },
        onDdl,
      },
      this.#controller.signal,
    );
  }

  /** Everything the source has now is applied; the stream is stopped. `heldId`: see `withAllWaiting`. */
  async applyAll(exact: boolean, heldId?: number, onDdl?: DdlHandler): Promise<void> {
    const start = () => this.follow(exact, onDdl);
    const replication = heldId === undefined ? start() : await this.#pair.withAllWaiting(this.name, heldId, start);
    try {
      await replication.waitFor(await this.#pair.position(), AbortSignal.timeout(60_000));
    } finally {
      await replication.stop();
    }
  }

  async rows(side: 'source' | 'target', table: string): Promise<string[]> {
    const rows = await this.#pair[side].rows(`SELECT * FROM ${this.name}.${table}`);
    return rows.map((row) => row.map((value) => value ?? 'NULL').join('|')).toSorted();
  }

  /** How many windows lanes have committed. */
  async laneWindows(): Promise<number> {
    const [row] = await this.#pair.target.rows(
      `SELECT COALESCE(SUM(windows), 0) FROM _switchyard.progress_lanes WHERE import_id='${this.name}'`,
    );
    return Number(row?.[0]);
  }
}
