import { fork } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ServerDefinition } from '../../engine/api.ts';
import { StreamSchema } from '../../engine/ddl/stream-schema.ts';
import { inspectTables } from '../../engine/schema/inspect.ts';
import { ServerConnection } from '../../engine/server/connection.ts';
import { executedPosition } from '../../engine/server/position.ts';
import { createSidecar, ProgressRow } from '../../engine/sidecar.ts';
import type { RunningServer } from '../../servers/running-server.ts';
import { startServer } from '../../servers/start-server.ts';
import type { BenchOptions } from '../bench.ts';
import { startMysqlReplica, stopMysqlReplica, waitForMysqlReplica } from '../peers/mysql-replica.ts';
import {
  makeSysbenchTables,
  SYSBENCH_DATABASE,
  sysbenchTableName,
  withoutDurability,
  type SysbenchTables,
} from '../sysbench-tables.ts';
import { WriteOnlyTransactions } from '../write-only-transactions.ts';
import { makeHeartbeatTable, measureLag, type LagSamples } from './heartbeat.ts';
import type { LoadTask } from './load-main.ts';
import { ReplicationProcess } from './replication-process.ts';
import { dataDirectoryOf, replaceData } from './server-copy.ts';

const IMPORT = 'bench';
const LAG_TRANSACTIONS_PER_SECOND = 1000;
const LAG_CONNECTIONS = 16;
/** The same for all three servers; durability is at MySQL's defaults, which are the strict ones. */
const SERVER_OPTIONS = [
  '--innodb-buffer-pool-size=1G',
  '--innodb-redo-log-capacity=1G',
  '--sync-binlog=1',
  '--innodb-flush-log-at-trx-commit=1',
];

export interface Run {
  oursMs: number;
  replicaMs: number | null;
  windows: number;
  cpuMs: number;
  residentMb: number;
}

/** A source with the backlog in its log, and two servers that get the data of before the backlog for every round. */
export class ApplyStage implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;
  readonly #onProgress: BenchOptions['onProgress'];
  readonly #tables: SysbenchTables;
  readonly #source: RunningServer;
  readonly #ours: RunningServer;
  readonly #replica: RunningServer;
  readonly #pristine: string;
  readonly #from: string;
  readonly #until: string;
  readonly version: string;

  static async make(
    onProgress: BenchOptions['onProgress'],
    tables: SysbenchTables,
    transactions: number,
  ): Promise<ApplyStage> {
    await using stack = new AsyncDisposableStack();
    const start = async () => stack.use(await startServer({ flavor: 'mysql-9.7', options: SERVER_OPTIONS }));
    const source = await start();
    const ours = await start();
    const replica = await start();
    const pristine = await mkdtemp(path.join(tmpdir(), 'switchyard-bench-'));
    stack.defer(() => rm(pristine, { recursive: true, force: true }));
    await using first = await ServerConnection.open(definitionOf(source));
    await makeSysbenchTables(first, tables);
    await makeHeartbeatTable(first);
    await first.write('RESET BINARY LOGS AND GTIDS');
    await first.close();
    await Promise.all([source, ours, replica].map((server) => server.stop()));
    await cp(dataDirectoryOf(source), pristine, { recursive: true });
    await source.start();
    onProgress(`${tables.tables * tables.rowsPerTable} rows are there and kept`);
    await using connection = await ServerConnection.open(definitionOf(source), { multiStatements: true });
    const from = (await executedPosition(connection, 'mysql')).toString();
    await withoutDurability(connection, async () => {
      const generator = new WriteOnlyTransactions(tables, {
        seed: 7,
        uniform: process.env['SWITCHYARD_BENCH_UNIFORM'] === '1',
      });
      for (let number = 0; number < transactions; number += 1) await connection.batch(generator.next());
    });
    const until = (await executedPosition(connection, 'mysql')).toString();
    onProgress(`${transactions} transactions are in the log`);
    const version = (await connection.selectOne<{ version: string }>('SELECT VERSION() AS version'))?.version ?? '?';
    return new ApplyStage(stack.move(), onProgress, { tables, source, ours, replica, pristine, from, until, version });
  }

  private constructor(
    stack: AsyncDisposableStack,
    onProgress: BenchOptions['onProgress'],
    made: {
      tables: SysbenchTables;
      source: RunningServer;
      ours: RunningServer;
      replica: RunningServer;
      pristine: string;
      from: string;
      until: string;
      version: string;
    },
  ) {
    this.#stack = stack;
    this.#onProgress = onProgress;
    this.#tables = made.tables;
    this.#source = made.source;
    this.#ours = made.ours;
    this.#replica = made.replica;
    this.#pristine = made.pristine;
    this.#from = made.from;
    this.#until = made.until;
    this.version = made.version;
  }

  async round(): Promise<Run> {
    const ours = await this.#runOurs();
    const replicaMs = process.env['SWITCHYARD_BENCH_NO_PEER'] === '1' ? null : await this.#runReplica();
    return { ...ours, replicaMs };
  }

  async #runOurs(): Promise<Omit<Run, 'replicaMs'>> {
    await this.#begin(this.#ours);
    await using replication = await this.#replicate(this.#from);
    const startedAt = performance.now();
    replication.begin();
    const { windows, cpuMs, residentMb } = await replication.waitFor(this.#until);
    const oursMs = performance.now() - startedAt;
    await replication.stop();
    await this.#compare(this.#ours);
    await this.#ours.stop();
    return { oursMs, windows, cpuMs, residentMb };
  }

  async #runReplica(): Promise<number> {
    await this.#begin(this.#replica);
    await using replica = await ServerConnection.open(definitionOf(this.#replica));
    const startedAt = performance.now();
    await startMysqlReplica(replica, definitionOf(this.#source));
    await waitForMysqlReplica(replica, this.#until);
    const replicaMs = performance.now() - startedAt;
    await stopMysqlReplica(replica);
    await this.#compare(this.#replica);
    await replica.close();
    await this.#replica.stop();
    return replicaMs;
  }

  /** A steady load on the source, followed by ours from the end of the backlog. */
  async lag(seconds: number): Promise<{ samples: LagSamples; load: LoadResult }> {
    await this.#ours.start();
    await using replication = await this.#replicate(this.#until);
    replication.begin();
    await replication.waitFor(this.#until);
    this.#onProgress(`${LAG_TRANSACTIONS_PER_SECOND} transactions a second for ${seconds} s`);
    const load = startLoad({
      server: definitionOf(this.#source),
      tables: this.#tables,
      perSecond: LAG_TRANSACTIONS_PER_SECOND,
      seconds,
      connections: LAG_CONNECTIONS,
    });
    const ended = new AbortController();
    const measuring = measureLag(definitionOf(this.#source), definitionOf(this.#ours), ended.signal);
    const result = await load;
    ended.abort();
    const samples = await measuring;
    await using source = await ServerConnection.open(definitionOf(this.#source));
    await replication.waitFor((await executedPosition(source, 'mysql')).toString());
    await replication.stop();
    await this.#compare(this.#ours);
    return { samples, load: result };
  }

  async #begin(server: RunningServer): Promise<void> {
    await replaceData(server, this.#pristine);
    await server.start();
    // What start-up and the first touch of the pages cost is not what is measured.
    await using connection = await ServerConnection.open(definitionOf(server));
    await checksums(connection, this.#tables.tables);
  }

  async #replicate(from: string): Promise<ReplicationProcess> {
    await using target = await ServerConnection.open(definitionOf(this.#ours));
    await createSidecar(target);
    const row = new ProgressRow(IMPORT, 'forward');
    if ((await row.read(target)) === undefined) {
      await row.reset(target, from);
      // As the copy does: without, the log would be looked through for DDL first.
      await using source = await ServerConnection.open(definitionOf(this.#source));
      await new StreamSchema(IMPORT, 'forward').load(target, () => inspectTables(source, SYSBENCH_DATABASE, 'all'));
    }
    return await ReplicationProcess.start({
      importId: IMPORT,
      origin: definitionOf(this.#source),
      destination: definitionOf(this.#ours),
      database: SYSBENCH_DATABASE,
    });
  }

  async #compare(server: RunningServer): Promise<void> {
    await using source = await ServerConnection.open(definitionOf(this.#source));
    await using target = await ServerConnection.open(definitionOf(server));
    const [expected, actual] = await Promise.all(
      [source, target].map((connection) => checksums(connection, this.#tables.tables)),
    );
    if (expected !== actual) throw new Error(`the rows differ from the source's: ${actual} instead of ${expected}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

export interface LoadResult {
  transactions: number;
  seconds: number;
}

async function startLoad(task: LoadTask): Promise<LoadResult> {
  const child = fork(path.join(import.meta.dirname, 'load-main.ts'), {
    env: { ...process.env, LOAD_TASK: JSON.stringify(task) },
  });
  const exit = once(child, 'exit').then(([code]) => {
    throw new Error(`the load ended with ${code} and without a result`);
  });
  exit.catch(() => {});
  const [result] = (await Promise.race([once(child, 'message'), exit])) as [LoadResult];
  return result;
}

async function checksums(connection: ServerConnection, tables: number): Promise<string> {
  const names = Array.from({ length: tables }, (_, index) => `${SYSBENCH_DATABASE}.${sysbenchTableName(index + 1)}`);
  const rows = await connection.rows(`CHECKSUM TABLE ${names.join(', ')}`);
  return rows.map(([, sum]) => sum).join(' ');
}

function definitionOf(server: RunningServer): ServerDefinition {
  return {
    host: server.host,
    port: server.port,
    user: server.adminUser,
    password: server.adminPassword,
    tls: { mode: 'disabled', minVersion: 'TLSv1.2' },
  };
}
