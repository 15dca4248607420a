import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../../core/errors.ts';
import { parsePosition } from '../../core/gtid.ts';
import type { Side } from '../../core/phase.ts';
import type { ImportView } from '../../engine/api.ts';
import { FLAVOR_SPECS } from '../../servers/flavor.ts';
import { connect, rows } from '../support/query.ts';
import { compareDatabases, type Difference } from './compare-databases.ts';
import { takeStep } from './fault-steps.ts';
import type { Schedule, Step } from './schedule.ts';
import { DATABASE, type SoakStage } from './soak-stage.ts';
import { SHARED_ROWS, STRAYS, StrayLedger } from './stray-ledger.ts';
import { TesterLedger } from './tester-ledger.ts';
import type { SourceReplica } from './source-replica.ts';
import { COUNTERS, Writer, type Counting } from './writer.ts';

/** How the failure begins where it says nothing about the engine. */
export const WRONG_SCHEDULE = 'the schema of the schedule is wrong';

/** What it may stop with beside what the schedule names, and why: limits that are documented (docs/limits.md). */
const MAY_STOP: Record<string, (schedule: Schedule) => boolean> = {
  COPY_SCHEMA_CHANGED: ({ steps }) =>
    steps
      .slice(
        0,
        steps.findIndex(({ kind }) => kind === 'running'),
      )
      .some(({ kind }) => kind === 'ddl'),
  // Within XA, what is rolled back beside temporary tables.
  STREAM_MIXED_ENGINES: ({ source, writers }) =>
    FLAVOR_SPECS[source].family === 'mariadb' &&
    writers.some(({ transactions }) =>
      transactions.some(({ begin, statements }) => begin === 'xa' && isAside(statements)),
    ),
  DDL_CONVERTS_OTHERWISE: ({ source, steps }) =>
    FLAVOR_SPECS[source].family === 'mariadb' &&
    steps.some((step) => step.kind === 'ddl' && step.sql.some((sql) => /\b(MODIFY|CHANGE)\b/.test(sql))),
};

function isAside(statements: readonly string[]): boolean {
  const has = (words: string) => statements.some((sql) => sql.startsWith(words));
  return has('CREATE TEMPORARY TABLE') && has('ROLLBACK TO');
}

export class ImportStopped extends Error {
  readonly code: string;

  constructor(phase: string, code: string, message: string) {
    super(`the import stopped in ${phase}: ${code}: ${message}`);
    this.code = code;
  }
}

export interface RunResult {
  failure: string | null;
  /** What it leaves on the stage could be the cause of the next failure. */
  isSpoilt: boolean;
  differences: Difference[];
  statements: number;
  commits: number;
  rowChanges: number;
  /** Writers' errors by number, switches by outcome, …: to see that a run did what it should. */
  counts: Record<string, number>;
  elapsedMs: number;
}

export interface RunOptions {
  onStep?: (text: string) => void;
  /** For everything; what takes longer hangs. */
  deadlineMs?: number;
}

/** Carries a schedule out on the stage and compares at the end. Never rejects for what the engine did wrong. */
export async function runSchedule(
  stage: SoakStage,
  schedule: Schedule,
  { onStep = () => {}, deadlineMs = 180_000 }: RunOptions = {},
): Promise<RunResult> {
  const run = new ScheduleRun(stage, schedule, onStep, AbortSignal.timeout(deadlineMs));
  return await run.result();
}

export class ScheduleRun {
  readonly stage: SoakStage;
  readonly schedule: Schedule;
  readonly importId: string;
  readonly counts: Record<string, number> = {};
  readonly signal: AbortSignal;
  readonly strays = new StrayLedger(this);
  /** Where the schedule has one. */
  replica: SourceReplica | null = null;
  readonly #tested = new TesterLedger(this);
  readonly #onStep: (text: string) => void;
  readonly #stopWriters = new AbortController();
  #writers: Writer[] = [];
  #testers: Writer[] = [];
  #mayPrepare = false;
  #gate: Promise<void> = Promise.resolve();
  readonly #copied = Promise.withResolvers<void>();

  constructor(stage: SoakStage, schedule: Schedule, onStep: (text: string) => void, signal: AbortSignal) {
    this.stage = stage;
    this.schedule = schedule;
    this.importId = `soak-${schedule.seed}-${Date.now().toString(36)}`;
    this.signal = signal;
    this.#onStep = onStep;
  }

  async result(): Promise<RunResult> {
    const startedAt = performance.now();
    let failure: string | null = null;
    let differences: Difference[] = [];
    let isSpoilt = false;
    try {
      await this.#prepare();
      await this.#act();
      differences = await this.#settle();
      if (differences.length === 0) await this.#leave();
      if (differences.length > 0) failure = 'source and target differ';
    } catch (error) {
      if (error instanceof ImportStopped && this.#mayStopWith(error.code)) {
        this.count(`stopped: ${error.code}`);
        isSpoilt = await this.stage.switchyard.client.cancelImport(this.importId).then(
          () => false,
          () => true,
        );
      } else failure = failureText(error, this.signal);
      const broken = await this.replica?.error();
      if (failure !== null && typeof broken === 'string') failure += `; the replica does not follow: ${broken}`;
    } finally {
      await this.#endWriters();
      await this.replica?.[Symbol.asyncDispose]();
      this.#heal();
    }
    for (const { errors } of this.#writers) for (const [name, count] of errors) this.count(`error ${name}`, count);
    for (const { errors } of this.#testers) for (const [name, count] of errors) this.count(`tester ${name}`, count);
    return {
      failure,
      isSpoilt: isSpoilt || failure !== null,
      differences,
      statements: sum(this.#writers.map(({ statements }) => statements)),
      commits: sum(this.#writers.map(({ acknowledged }) => acknowledged.size)),
      rowChanges: this.counts['row changes'] ?? 0,
      counts: this.counts,
      elapsedMs: Math.round(performance.now() - startedAt),
    };
  }

  #mayStopWith(code: string): boolean {
    const { mayStop, steps } = this.schedule;
    const named = [...mayStop, ...steps.flatMap((step) => (step.kind === 'ddl' ? step.mayStop : []))];
    return named.includes(code) || MAY_STOP[code]?.(this.schedule) === true;
  }

  count(what: string, by = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + by;
  }

  note(text: string): void {
    this.#onStep(text);
  }

  /** The import as it is now; waits while the engine is away. Throws when the import has failed. */
  async view(): Promise<ImportView> {
    for (;;) {
      this.signal.throwIfAborted();
      const view = await this.stage.switchyard.client.getImport(this.importId).catch((error: unknown) => {
        if (error instanceof AppError && error.code === 'NOT_FOUND') throw error;
        return undefined;
      });
      if (view?.error?.code === 'DDL_STOPPED' && view.phase === 'error') {
        // As an operator does. Refused where it goes on already, or while the engine is away.
        await this.stage.switchyard.client.resume(this.importId, 'apply').then(
          () => this.count('ddl applied by hand'),
          () => {},
        );
      } else if (view?.phase === 'error') {
        const { fromPhase = '', code = '', message = '' } = view.error ?? {};
        throw new ImportStopped(fromPhase, code, message);
      } else if (view !== undefined) return view;
      await delay(100);
    }
  }

  async until(condition: (view: ImportView) => boolean): Promise<ImportView> {
    for (;;) {
      const view = await this.view();
      if (condition(view)) return view;
      await delay(50);
    }
  }

  /** Everything that the primary has now is on the other side. Writers wait: they may be faster than any replication. */
  async caughtUp(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = promise;
    try {
      await this.#caughtUp();
    } finally {
      resolve();
    }
  }

  async #caughtUp(): Promise<void> {
    const { traffic } = await this.view();
    const primary: Side = traffic.primary;
    // A PREPARE whose writer is gone would be waited for for ever: it is part of no position until it ends.
    while ([...this.#writers, ...this.#testers].some(({ isWaiting }) => !isWaiting)) {
      this.signal.throwIfAborted();
      await delay(20);
    }
    await this.#endPrepared(this.stage.servers[primary]);
    await this.#reached(primary);
    if (this.schedule.options.reverse !== 'always' || primary === 'target' || !this.#mayPrepare) return;
    // What testers wrote is judged, and what comes of it on the source is back.
    await this.#endPrepared(this.stage.servers.target);
    await this.#reached('target');
    await this.#reached('source');
  }

  /** What that side has now is on the other one. */
  async #reached(side: Side): Promise<void> {
    const flavor = side === 'source' ? FLAVOR_SPECS[this.schedule.source].family : 'mysql';
    const position = await this.#position(side, flavor);
    await this.until(({ streams }) => {
      const direction = side === 'source' ? 'forward' : 'reverse';
      const stream = streams.find((one) => one.direction === direction);
      return (
        typeof stream?.position === 'string' &&
        parsePosition(flavor, stream.position).covers(parsePosition(flavor, position))
      );
    });
  }

  async #position(side: Side, flavor: 'mysql' | 'mariadb'): Promise<string> {
    await using connection = await connect(this.stage.servers[side]);
    const [row] = await rows(
      connection,
      `SELECT ${flavor === 'mysql' ? '@@global.gtid_executed' : '@@global.gtid_binlog_pos'} AS position`,
    );
    return String(row?.['position']);
  }

  async #prepare(): Promise<void> {
    if (this.schedule.fromReplica) this.replica = await this.stage.startReplica();
    await this.stage.clear();
    await using connection = await connect(this.stage.servers.source, DATABASE);
    for (const setting of this.schedule.settings) await connection.query(setting);
    await connection.query(`CREATE TABLE ${COUNTERS} (id INT PRIMARY KEY, n BIGINT NOT NULL)`);
    const list = this.schedule.writers.map((_, id) => `(${id}, 0)`);
    if (list.length > 0) await connection.query(`INSERT INTO ${COUNTERS} VALUES ${list.join(',')}`);
    await connection.query(
      `CREATE TABLE ${STRAYS} (id INT PRIMARY KEY, stray INT NOT NULL, written BIGINT NOT NULL DEFAULT 0)`,
    );
    await this.#tested.prepare(connection);
    const shared = Array.from({ length: SHARED_ROWS }, (_, id) => `(${id}, 0)`);
    await connection.query(`INSERT INTO ${STRAYS} (id, stray) VALUES ${shared.join(',')}`);
    for (const { name, statements } of this.schedule.tables) {
      for (const statement of statements) {
        await connection.query(statement).catch((error: unknown) => {
          if (!statement.startsWith('INSERT'))
            throw new Error(`${WRONG_SCHEDULE}: ${(error as Error).message}: ${statement}`);
          this.count(`first rows refused (${name})`);
        });
      }
    }
  }

  async #act(): Promise<void> {
    const { schedule, stage } = this;
    const direct = schedule.writersThrough === 'server';
    if (schedule.quietCopy) this.#gate = this.#copied.promise;
    if (direct) this.#startWriters();
    await stage.switchyard.client.createImport({
      id: this.importId,
      database: DATABASE,
      source: stage.definition('source'),
      target: stage.definition('target'),
      replicaHost: this.replica === null ? null : { host: this.replica.server.host, port: this.replica.server.port },
      options: { ...schedule.options, skipValidationErrors: true },
    });
    if (!direct) this.#startWriters();
    const begun = this.#allowPreparing();
    // It ends with the run, and says why by itself where it fails.
    begun.catch(() => {});
    const following = this.until(({ phase }) => phase !== 'pending' && phase !== 'copying');
    following
      .then(() => {
        this.#copied.resolve();
        this.#startTesters();
      })
      .catch(() => {});
    for (const step of schedule.steps) {
      this.signal.throwIfAborted();
      this.note(stepText(step));
      await takeStep(this, step);
    }
  }

  /** What is prepared when the stream begins would stop it (STREAM_XA_UNKNOWN). */
  async #allowPreparing(): Promise<void> {
    await this.until(({ phase, tables }) => phase !== 'pending' && tables.some(({ state }) => state !== 'waiting'));
    this.#mayPrepare = true;
  }

  #startWriters(): void {
    const { switchyard, servers } = this.stage;
    const { writersThrough, writers, steps } = this.schedule;
    const port = { primary: switchyard.primaryPort, replica: switchyard.replicaPort };
    const sharesRows = steps.some(writesStrays);
    this.#writers = writers.map((script, id) => {
      const { within, alone } = this.#tested.ofWriter(id) ?? countsUp(id);
      return this.#writer(script, {
        id,
        port: writersThrough === 'server' ? servers.source.port : port[script.endpoint],
        counting: { within: (n) => [...within(n), ...(sharesRows ? this.strays.ofWriter(id) : [])], alone },
      });
    });
  }

  #startTesters(): void {
    const { port } = this.stage.servers.target;
    this.#testers = this.schedule.testers.map((script, id) =>
      this.#writer(script, { id, port, counting: this.#tested.ofTester(id) }),
    );
  }

  #writer(script: Schedule['writers'][number], of: { id: number; port: number; counting: Counting }): Writer {
    return new Writer({
      ...of,
      script,
      signal: this.#stopWriters.signal,
      gate: () => this.#gate,
      mayPrepare: () => this.#mayPrepare,
    });
  }

  async #endWriters(): Promise<void> {
    this.#stopWriters.abort();
    this.#copied.resolve();
    await Promise.all([...this.#writers, ...this.#testers].map(({ done }) => done));
  }

  #heal(): void {
    for (const relay of Object.values(this.stage.relays)) relay.forward();
  }

  /** Writers stopped, nothing prepared left, the stream caught up: the two sides must be equal, and the verifier say so. */
  async #settle(): Promise<Difference[]> {
    await this.#endWriters();
    this.#heal();
    this.note('settling');
    const { source, target } = this.stage.servers;
    for (const server of [source, target]) await this.#endPrepared(server);
    await this.until(
      ({ phase, verify }) =>
        !['pending', 'copying', 'verifying_data', 'switching_primaries', 'switching_replicas'].includes(phase) &&
        verify?.state !== 'running',
    );
    await this.caughtUp();
    const view = await this.view();
    this.count('row changes', sum(view.streams.map(({ rowChangesApplied }) => rowChangesApplied)));
    const differences = (await compareDatabases(source, target, DATABASE)).filter(({ table }) => table !== STRAYS);
    const strays = await this.strays.check();
    differences.push(
      ...strays.differences,
      ...(await this.#brokenPromises(view.traffic.primary)),
      ...(await this.#tested.check(this.#writers, this.#testers)),
    );
    if (view.traffic.primary === 'source' || this.schedule.options.reverse !== 'off') {
      await this.stage.switchyard.client.verify(this.importId);
      const { verify } = await this.until(
        ({ phase, verify }) =>
          phase !== 'verifying_data' && verify?.state !== 'running' && verify?.state !== 'rechecking',
      );
      const equal = verify?.state === 'equal';
      if (equal !== (differences.length === 0 && strays.isEqual))
        differences.push({ table: '*', what: `verification says ${JSON.stringify(verify)}` });
    }
    return differences;
  }

  /** For the next schedule: the source alone is left, as before the import. */
  async #leave(): Promise<void> {
    const { client } = this.stage.switchyard;
    const { traffic } = await this.view();
    for (const kind of ['primaries', 'replicas'] as const) {
      const side = kind === 'primaries' ? traffic.primary : traffic.replica;
      if (side === 'target') await client.switchTraffic(this.importId, { kind, back: true, force: true });
    }
    await client.cancelImport(this.importId);
  }

  async #brokenPromises(primary: Side): Promise<Difference[]> {
    await using connection = await connect(this.stage.servers[primary], DATABASE);
    const counters = new Map(
      (await rows(connection, `SELECT id, n FROM ${COUNTERS}`)).map(({ id, n }) => [Number(id), Number(n)]),
    );
    return this.#writers.flatMap(({ id, acknowledged, unknown }) => {
      const n = counters.get(id) ?? 0;
      return n >= acknowledged.size && n <= acknowledged.size + unknown.size
        ? []
        : [
            {
              table: COUNTERS,
              what: `writer ${id}: ${acknowledged.size} commits were acknowledged, ${unknown.size} unknown, ${n} are there`,
            },
          ];
    });
  }

  /** A writer that lost its connection has left its XA transaction. */
  async #endPrepared(server: SoakStage['servers'][Side]): Promise<void> {
    await using connection = await connect(server);
    for (const { data } of await rows(connection, 'XA RECOVER')) {
      this.count('prepared left');
      await connection.query(`XA ROLLBACK '${String(data)}'`).catch(() => {});
    }
  }
}

/** A row of its own. */
function countsUp(id: number): Counting {
  const count = () => ({ sql: `UPDATE ${COUNTERS} SET n = n + 1 WHERE id = ?`, values: [id] });
  return { within: () => [count()], alone: count };
}

function writesStrays(step: Step): boolean {
  return step.kind === 'stray' || (step.kind === 'switch' && step.during?.step.kind === 'stray');
}

function stepText(step: Step): string {
  const { kind, ...more } = step;
  return `${kind} ${JSON.stringify(more)}`;
}

function failureText(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return 'the run did not end in time';
  return error instanceof AppError ? `${error.code}: ${error.message}` : (error as Error).message;
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
