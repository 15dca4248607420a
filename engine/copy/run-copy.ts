import { abortable, childController, isAbort } from '../../core/abort.ts';
import { Backoff } from '../../core/backoff.ts';
import { systemClock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { ServerDefinition, ServerFacts } from '../api.ts';
import { globalVariables, serverFacts } from '../schema/inspect.ts';
import type { Table } from '../schema/table.ts';
import { errnoOf, ServerConnection, type Bytes } from '../server/connection.ts';
import { gapsOf, type Chunk } from './chunk.ts';
import { landedChunks } from './copy-chunks-table.ts';
import { CopyPair } from './copy-pair.ts';
import { TableProgressMeter, type TableProgress } from './copy-progress.ts';
import { executedGtids } from './source-stamp.ts';
import { TableChunks } from './table-chunks.ts';
import { tablePlan, type LoadMethod, type TablePlan } from './table-plan.ts';

export interface CopyOptions {
  importId: string;
  /** Where rows are read: the source, or its replica host. */
  source: ServerDefinition;
  target: ServerDefinition;
  /** As the source describes them. The target has them already. */
  tables: Table[];
  /** On each side. */
  connections: number;
  signal: AbortSignal;
  onProgress: (table: TableProgress) => void;
  chunkBytes?: number;
}

export interface CopyResult {
  rows: number;
  bytes: number;
  /**
   * GTIDs that the source had executed when everything had been read: once the stream has applied them, the target is
   * consistent. It contains every chunk's stamp, also those of earlier runs.
   */
  stamp: Bytes;
}

const CHUNK_BYTES = 16 * 1024 * 1024;
/** Tries of one chunk in a row, with back-off between them: some two minutes. */
const TRIES_MAX = 20;

interface TableJob {
  table: Table;
  plan: TablePlan;
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
  const { source, target, connections, onProgress } = options;
  await using control = await ServerConnection.open(target);
  await using origin = await ServerConnection.open(source);
  const { flavor } = await serverFacts(origin);
  const jobs = await prepare(control, options);
  for (const { meter } of jobs) onProgress(meter.view);

  const controller = childController(options.signal);
  const worker = new Worker(options, jobs, flavor);
  const workers = Array.from({ length: connections }, () => worker.run(controller.signal));
  try {
    await Promise.all(workers);
  } catch (error) {
    controller.abort(new DOMException('another worker of the copy failed', 'AbortError'));
    await Promise.allSettled(workers);
    options.signal.throwIfAborted();
    throw error;
  }
  const views = jobs.map(({ meter }) => meter.view);
  return {
    rows: views.reduce((sum, { rowsCopied }) => sum + rowsCopied, 0),
    bytes: views.reduce((sum, { bytes }) => sum + bytes, 0),
    stamp: await executedGtids(await fresh(origin, source), flavor),
  };
}

/** The connection, or another one where it was lost while the workers ran. */
async function fresh(connection: ServerConnection, server: ServerDefinition): Promise<ServerConnection> {
  return connection.broken ? await ServerConnection.open(server) : connection;
}

async function prepare(
  control: ServerConnection,
  { importId, tables, chunkBytes = CHUNK_BYTES }: CopyOptions,
): Promise<TableJob[]> {
  const localInfile = (await globalVariables(control, ['local_infile'])).get('local_infile');
  const method: LoadMethod = localInfile === 'ON' ? 'load_data' : 'replace';
  const jobs: TableJob[] = [];
  // The largest first, so that the end is not one worker with the longest table.
  for (const table of [...tables].sort((a, b) => b.bytes - a.bytes)) {
    const landed = await landedChunks(control, importId, table.name);
    const meter = new TableProgressMeter(table.name, table.rowsEstimate, systemClock);
    for (const { rows, bytes } of landed) meter.resumed(rows, bytes);
    const chunks = new TableChunks(table, gapsOf(landed), chunkBytes);
    if (!chunks.open) meter.finished();
    jobs.push({ table, plan: tablePlan(table, method), chunks, meter, running: 0 });
  }
  return jobs;
}

interface Task {
  job: TableJob;
  chunk: Chunk;
  /** Tries that failed. */
  tries: number;
}

/** Takes chunks until there are none, over a pair of connections that it replaces when they break. */
class Worker {
  readonly #options: CopyOptions;
  readonly #jobs: TableJob[];
  readonly #flavor: ServerFacts['flavor'];

  constructor(options: CopyOptions, jobs: TableJob[], flavor: ServerFacts['flavor']) {
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
          task ??= await this.#take(pair);
          if (task === undefined) return;
          await this.#copy(pair, task);
          task = undefined;
          tries = 0;
          backoff.reset();
        } catch (error) {
          pair?.destroy();
          pair = undefined;
          signal.throwIfAborted();
          tries += 1;
          if (!isTransient(error) || tries >= TRIES_MAX) throw error;
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
    const { source, target } = this.#options;
    const opening = CopyPair.open(source, target, this.#flavor);
    // Cancelled meanwhile, nobody would close it.
    void opening.then(
      (pair) => {
        if (signal.aborted) pair.destroy();
      },
      () => {},
    );
    return await abortable(opening, signal);
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
      if (chunk !== null) return { job, chunk, tries: 0 };
    }
    return undefined;
  }

  async #copy(pair: CopyPair, { job, chunk, tries }: Task): Promise<void> {
    job.meter.started();
    this.#options.onProgress(job.meter.view);
    const { rows, bytes } = await pair.copy(this.#options.importId, job.table, job.plan, chunk, tries > 0);
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

/** Deadlocks and lock waits between neighbouring chunks, and connections: what another try may cure. */
function isTransient(error: unknown): boolean {
  if (isAbort(error) || !(error instanceof AppError)) return false;
  const errno = errnoOf(error);
  return (
    error.code === 'SERVER_GONE' ||
    error.code === 'SERVER_UNREACHABLE' ||
    errno === 1205 ||
    errno === 1213 ||
    errno === 1317 ||
    errno === 1040
  );
}
