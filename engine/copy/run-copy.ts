import { abortable, childController } from '../../core/abort.ts';
import { Backoff } from '../../core/backoff.ts';
import { systemClock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { CopyThrottle, ServerDefinition, ServerFacts } from '../api.ts';
import { globalVariables, serverFacts } from '../schema/inspect.ts';
import type { Table } from '../schema/table.ts';
import { errnoOf, ServerConnection, type Bytes } from '../server/connection.ts';
import { executedPosition, settledPosition } from '../server/position.ts';
import { gapsOf, type Chunk } from './chunk.ts';
import { landedChunksByTable } from './copy-chunks-table.ts';
import { CopyRun } from './copy-run.ts';
import { CopyPair } from './copy-pair.ts';
import { TableProgressMeter, type TableProgress } from './copy-progress.ts';
import { isTransient } from './is-transient.ts';
import { ReplicaGate } from './replica-gate.ts';
import { TableChunks } from './table-chunks.ts';
import { tablePlan, type LoadMethod, type TablePlan } from './table-plan.ts';
import { Throttle } from './throttle.ts';
import { Turns } from './turns.ts';

export interface CopyOptions {
  importId: string;
  source: ServerDefinition;
  /** Where rows are read instead: a replica, once it has everything that is in `from`, where the stream begins. */
  replica?: { server: ServerDefinition; from: string };
  target: ServerDefinition;
  /** As the source describes them. The target has them already. */
  tables: Table[];
  /** On each side. */
  connections: number;
  signal: AbortSignal;
  onProgress: (table: TableProgress) => void;
  chunkBytes?: number;
  throttle?: CopyThrottle;
  /** Why no chunk begins, and null when they begin again. */
  onThrottle?: (reason: string | null) => void;
  /** See `OpenOptions`. */
  silenceMs?: number;
}

export interface CopyResult {
  rows: number;
  bytes: number;
  /**
   * GTIDs that the source had executed when everything had been read: once the stream has applied them, the target is
   * consistent. Everything that a chunk showed is in it, also of earlier runs and of replicas.
   */
  stamp: Bytes;
}

const NO_LIMITS: CopyThrottle = { sourceLatencyMs: null, historyLengthMax: null, replicaLagMs: null };
const CHUNK_BYTES = 16 * 1024 * 1024;
/** Tries of one chunk in a row, with back-off between them: some two minutes. */
const TRIES_MAX = 20;

interface TableJob {
  table: Table;
  plan: TablePlan;
  /** For a chunk that the target refused: finds the row. */
  rowByRow: () => TablePlan;
  chunks: TableChunks;
  meter: TableProgressMeter;
  /** Chunks under way. */
  running: number;
}

/**
 * Copies the rows of `tables` without locks, in chunks, several at once, and skips what landed in earlier runs. The
 * stream has to have been started before (P0), and what it holds is replayed afterwards: rows read here may be older or
 * newer than each other. Rejects with the first failure that trying again does not cure, or the signal's reason.
 */
export async function runCopy(options: CopyOptions): Promise<CopyResult> {
  const { source, target, onProgress } = options;
  const { flavor } = await during(source, serverFacts);
  const run = await claimRun(options);
  for (;;) {
    const jobs = await during(target, async (control) => prepare(control, options));
    for (const { meter } of jobs) onProgress(meter.view);
    if (jobs.some(({ chunks }) => chunks.open)) await copyJobs(options, { jobs, flavor, run });
    // Looked at again after the last chunk: a target that flushes its log once a second takes back, when it crashes,
    // what it had acknowledged.
    // Of the source: a replica may lack what a chunk showed that was read elsewhere, and have what nobody else has.
    else return { ...totals(jobs), stamp: await during(source, async (origin) => stampOf(origin, flavor, options)) };
  }
}

/** Rows that were read here are long in `gtid_executed` by now; a replica shows them earlier (semi-synchronous replication). */
async function stampOf(
  origin: ServerConnection,
  flavor: ServerFacts['flavor'],
  { replica, signal }: CopyOptions,
): Promise<Bytes> {
  if (replica === undefined) return (await executedPosition(origin, flavor)).toString();
  for (;;) {
    const position = await settledPosition(origin, flavor, signal);
    if (position !== undefined) return position.toString();
  }
}

function totals(jobs: TableJob[]): Omit<CopyResult, 'stamp'> {
  const views = jobs.map(({ meter }) => meter.view);
  return {
    rows: views.reduce((sum, { rowsCopied }) => sum + rowsCopied, 0),
    bytes: views.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** Before it is looked for what has landed. */
async function claimRun({ target, importId, signal }: CopyOptions): Promise<CopyRun> {
  const backoff = new Backoff();
  for (let tries = 1; ; tries += 1) {
    try {
      return await during(target, async (control) => CopyRun.claim(control, importId));
    } catch (error) {
      if (!isTransient(error) || tries >= TRIES_MAX) throw error;
      await backoff.wait(signal);
    }
  }
}

async function copyJobs(
  options: CopyOptions,
  { jobs, flavor, run }: { jobs: TableJob[]; flavor: ServerFacts['flavor']; run: CopyRun },
): Promise<void> {
  await using throttle = new Throttle({
    server: readFrom(options),
    limits: options.throttle ?? NO_LIMITS,
    onChange: (reason) => options.onThrottle?.(reason),
  });
  const controller = childController(options.signal);
  const gate = new ReplicaGate(flavor, options);
  const worker = new Worker({ options, jobs, flavor, run, throttle, gate });
  const workers = Array.from({ length: options.connections }, () => worker.run(controller.signal));
  try {
    await Promise.all(workers);
  } catch (error) {
    controller.abort(new DOMException('another worker of the copy failed', 'AbortError'));
    await Promise.allSettled(workers);
    options.signal.throwIfAborted();
    throw error;
  }
}

function readFrom({ source, replica }: CopyOptions): ServerDefinition {
  return replica?.server ?? source;
}

/** Not kept open in between: an idle connection may be forgotten on the way, and nobody would notice. */
async function during<T>(server: ServerDefinition, work: (connection: ServerConnection) => Promise<T>): Promise<T> {
  await using connection = await ServerConnection.open(server);
  return await work(connection);
}

async function prepare(
  control: ServerConnection,
  { importId, tables, chunkBytes = CHUNK_BYTES }: CopyOptions,
): Promise<TableJob[]> {
  const variables = await globalVariables(control, ['local_infile', 'max_allowed_packet']);
  const method: LoadMethod = variables.get('local_infile') === 'ON' ? 'load_data' : 'insert';
  const limits = { packetBytesMax: Number(variables.get('max_allowed_packet')), turns: new Turns() };
  const landedOf = await landedChunksByTable(control, importId);
  const jobs: TableJob[] = [];
  // The largest first, so that the end is not one worker with the longest table.
  for (const table of [...tables].sort((a, b) => b.bytes - a.bytes)) {
    const landed = landedOf.get(table.name) ?? [];
    const meter = new TableProgressMeter(table.name, table.rowsEstimate, systemClock);
    for (const { rows, bytes } of landed) meter.resumed(rows, bytes);
    const chunks = new TableChunks(table, gapsOf(landed), chunkBytes);
    if (!chunks.open) meter.finished();
    const plan = tablePlan(table, method, limits);
    const rowByRow = () => tablePlan(table, 'insert', limits);
    jobs.push({ table, plan, rowByRow, chunks, meter, running: 0 });
  }
  return jobs;
}

interface Task {
  job: TableJob;
  chunk: Chunk;
  /** Tries that failed. */
  tries: number;
  plan: TablePlan;
}

interface WorkerParts {
  options: CopyOptions;
  jobs: TableJob[];
  flavor: ServerFacts['flavor'];
  run: CopyRun;
  throttle: Throttle;
  gate: ReplicaGate;
}

/** Takes chunks until there are none, over a pair of connections that it replaces when they break. */
class Worker {
  readonly #options: CopyOptions;
  readonly #jobs: TableJob[];
  readonly #flavor: ServerFacts['flavor'];
  readonly #run: CopyRun;
  readonly #throttle: Throttle;
  readonly #gate: ReplicaGate;

  constructor({ options, jobs, flavor, run, throttle, gate }: WorkerParts) {
    this.#run = run;
    this.#throttle = throttle;
    this.#gate = gate;
    this.#options = options;
    this.#jobs = jobs;
    this.#flavor = flavor;
  }

  async run(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff();
    let pair: CopyPair | undefined;
    let task: Task | undefined;
    let tries = 0;
    const stop = () => pair?.destroy();
    signal.addEventListener('abort', stop);
    try {
      for (;;) {
        try {
          signal.throwIfAborted();
          pair ??= await this.#open(signal);
          if (task === undefined) {
            await this.#throttle.pass(signal);
            task = await this.#take(pair);
          }
          if (task === undefined) return;
          await this.#copy(pair, task);
          task = undefined;
          tries = 0;
          backoff.reset();
        } catch (error) {
          pair?.destroy();
          pair = undefined;
          signal.throwIfAborted();
          if (task !== undefined && task.plan === task.job.plan && isRefusal(error)) {
            task.plan = task.job.rowByRow();
            continue;
          }
          tries += 1;
          if (!isTransient(error) || tries >= TRIES_MAX) throw schemaChanged(error) ?? error;
          if (task !== undefined) task.tries = tries;
          await backoff.wait(signal);
        }
      }
    } finally {
      signal.removeEventListener('abort', stop);
      pair?.destroy();
    }
  }

  async #open(signal: AbortSignal): Promise<CopyPair> {
    const { target, silenceMs } = this.#options;
    const opening = CopyPair.open(
      readFrom(this.#options),
      target,
      this.#flavor,
      silenceMs === undefined ? {} : { silenceMs },
    );
    // Cancelled meanwhile, nobody would close it.
    void opening.then(
      (pair) => {
        if (signal.aborted) pair.destroy();
      },
      () => {},
    );
    const pair = await abortable(opening, signal);
    try {
      // Of each connection: behind one address there may be several replicas.
      await this.#gate.pass(pair.reader, signal);
      return pair;
    } catch (error) {
      pair.destroy();
      throw error;
    }
  }

  /** A task counts as running from here until its chunk has landed, tries and pauses included. */
  async #take(pair: CopyPair): Promise<Task | undefined> {
    for (let job = this.#choose(); job !== undefined; job = this.#choose()) {
      job.running += 1;
      let chunk: Chunk | null = null;
      try {
        chunk = await job.chunks.next(pair.reader);
      } finally {
        if (chunk === null) job.running -= 1;
      }
      if (chunk !== null) return { job, chunk, tries: 0, plan: job.plan };
    }
    return undefined;
  }

  async #copy(pair: CopyPair, { job, chunk, tries, plan }: Task): Promise<void> {
    job.meter.started();
    this.#options.onProgress(job.meter.view);
    const { importId } = this.#options;
    const { rows, bytes } = await pair.copy(importId, job.table, { plan, chunk, run: this.#run, again: tries > 0 });
    await failpoint('copy.chunk_landed');
    job.running -= 1;
    job.meter.landed(rows, bytes);
    job.chunks.landed(rows, bytes);
    if (!job.chunks.open && job.running === 0) job.meter.finished();
    this.#options.onProgress(job.meter.view);
  }

  /** Spreads workers over tables: neighbouring chunks of one table would wait for each other's pages. */
  #choose(): TableJob | undefined {
    const open = this.#jobs.filter(({ chunks }) => chunks.open);
    return open.reduce<TableJob | undefined>(
      (best, job) => (best === undefined || job.running < best.running ? job : best),
      undefined,
    );
  }
}

/** A table or column that was there when the copy began is unknown: 1146, 1054. */
function schemaChanged(error: unknown): AppError | undefined {
  const errno = errnoOf(error);
  if (!(error instanceof AppError) || (errno !== 1146 && errno !== 1054)) return undefined;
  return new AppError('COPY_SCHEMA_CHANGED', `a table was changed while it was copied: ${error.message}`, {
    cause: error,
  });
}

/** The target did not take something of the chunk as it was: it takes most of it one by one, or says what not. */
function isRefusal(error: unknown): boolean {
  return (
    error instanceof AppError &&
    (error.code === 'COPY_VALUE_REFUSED' || error.code === 'SERVER_ERROR') &&
    error.details['key'] === undefined &&
    !isTransient(error)
  );
}
