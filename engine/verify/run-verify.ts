import { abortable, childController } from '../../core/abort.ts';
import { Backoff } from '../../core/backoff.ts';
import { AppError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { ServerDefinition, VerifyView } from '../api.ts';
import { asPaired, type PairedContext } from './as-paired.ts';
import { ConnectionPair, type Flavors } from './connection-pair.ts';
import type { Follower } from './follower.ts';
import type { TablePair } from './table-pair.ts';
import { TableVerification } from './table-verification.ts';
import type { VerifiedChunk } from './verified-chunks.ts';
import { VerifyProgress } from './verify-progress.ts';

/** Small enough that few rows change while a chunk is compared, large enough that round trips do not matter. */
const CHUNK_BYTES = 4 * 1024 * 1024;
const SETTLE_MS_MAX = 60_000;

export interface VerifyOptions {
  flavors: Flavors;
  source: ServerDefinition;
  target: ServerDefinition;
  tables: readonly TablePair[];
  /** Whether `source` is what the import calls its target: the verdict is in the terms of the import. */
  mirrored?: boolean;
  /** Whether DDL has left a table as it was paired: else nothing is said of it here, and somebody else compares it. */
  isPaired?: (table: TablePair) => boolean;
  follower: Follower;
  /** Pairs of connections, one to each side. */
  connections: number;
  signal: AbortSignal;
  onProgress: (view: VerifyView) => void;
  /** Resolves when the servers are well enough for another chunk. */
  pace?: (signal: AbortSignal) => Promise<void>;
  /** Before the first row is compared. */
  onTables?: (tables: readonly TableVerification[]) => void;
  /**
   * Before anything is said: rows that were written behind the comparison of their chunk have been compared again, and tables that are
   * not paired any more.
   */
  beforeVerdict?: (signal: AbortSignal) => Promise<void>;
  /** Chunks of each table that were found equal before a pause. */
  done?: ReadonlyMap<string, readonly VerifiedChunk[]>;
  onEqual?: (table: string, chunk: VerifiedChunk) => void;
  /** After each chunk. */
  onRows?: (rows: number) => void;
  /** When it began, before a pause. */
  startedAtMs?: number;
  chunkBytes?: number;
  /** How long rows that change all the time are looked at again at the end. */
  settleMsMax?: number;
}

/**
 * Compares every row of the tables on both sides while the source is written to and replication runs (I9). Resolves with
 * `equal` or `different`, of the tables that are paired still. Rejects where neither can be said: with VERIFY_UNSETTLED,
 * VERIFY_ROW_UNREADABLE, an error of a server or of the replication, or an AbortError; the last view has then been shown as `failed`.
 */
export async function runVerify(options: VerifyOptions): Promise<VerifyView> {
  const controller = childController(options.signal);
  const { signal } = controller;
  const first = new ConnectionPair({ ...options, signal });
  const others = Array.from({ length: options.connections - 1 }, () => new ConnectionPair({ ...options, signal }));
  const pairs = [first, ...others];
  const { flavors, follower, chunkBytes = CHUNK_BYTES, pace = noWait, isPaired = () => true, onRows } = options;
  const { mirrored = false } = options;
  const tables = options.tables.map(
    (table) =>
      new TableVerification(table, {
        chunkBytes,
        mirrored,
        done: options.done?.get(table.name) ?? [],
        onEqual: (chunk) => {
          if (isPaired(table)) options.onEqual?.(table.name, chunk);
        },
      }),
  );
  const paired = () => tables.filter(({ table }) => isPaired(table));
  const progress = new VerifyProgress(() => paired().map((table) => table.progress), {
    onProgress: options.onProgress,
    startedAtMs: options.startedAtMs,
    primary: mirrored ? 'target' : 'source',
  });
  try {
    progress.changed();
    options.onTables?.(tables);
    const context = { flavors, follower, signal, pace, onRows, isPaired };
    await Promise.all(pairs.map((pair) => checkChunks(pair, tables, context, progress)));
    await settle(first, paired, context, options.settleMsMax ?? SETTLE_MS_MAX);
    await options.beforeVerdict?.(signal);
    return conclude(paired(), progress);
  } catch (error) {
    progress.end('failed');
    throw error;
  } finally {
    // What still runs for another worker would only hold the servers.
    controller.abort();
    for (const pair of pairs) pair[Symbol.dispose]();
  }
}

interface Context extends PairedContext {
  pace: (signal: AbortSignal) => Promise<void>;
  onRows: ((rows: number) => void) | undefined;
}

/** Chunk after chunk of table after table; the workers share the tables, so the last one has them all. */
async function checkChunks(
  pair: ConnectionPair,
  tables: TableVerification[],
  context: Context,
  progress: VerifyProgress,
): Promise<void> {
  for (const table of tables) {
    while (context.isPaired(table.table)) {
      await context.pace(context.signal);
      await abortable(failpoint('verify.chunk'), context.signal);
      const rows = await asPaired(context, pair, table.table, () => checkNext(pair, table, context));
      if (rows === undefined || rows === null) break;
      context.onRows?.(rows);
      progress.changed();
    }
  }
}

/** Answers its rows; null when all chunks are handed out. */
async function checkNext(pair: ConnectionPair, table: TableVerification, context: Context): Promise<number | null> {
  const range = await pair.use(({ source }) => table.nextChunk(source));
  return range === null ? null : await pair.use((open) => table.check({ ...context, pair: open }, range));
}

/** Rows that were being written whenever they were looked at. */
async function settle(
  pair: ConnectionPair,
  paired: () => TableVerification[],
  context: Context,
  msMax: number,
): Promise<void> {
  const backoff = new Backoff({ initialMs: 5, maxMs: 1000 });
  const deadlineMs = performance.now() + msMax;
  const unsure = () => paired().filter((table) => table.unsure.size > 0);
  while (unsure().length > 0 && performance.now() < deadlineMs) {
    for (const table of unsure())
      await asPaired(context, pair, table.table, () => pair.use((open) => table.settle({ ...context, pair: open })));
    if (unsure().length > 0) await backoff.wait(context.signal);
  }
}

/** A difference is one whatever else is unsure; without one, unsure is not equal. */
function conclude(tables: TableVerification[], progress: VerifyProgress): VerifyView {
  if (tables.some((table) => table.progress.differencesTotal > 0)) return progress.end('different');
  const unsure = tables.filter((table) => table.unsure.size > 0);
  if (unsure.length === 0) return progress.end('equal');
  const counts = Object.fromEntries(unsure.map((table) => [table.table.name, table.unsure.size]));
  throw new AppError('VERIFY_UNSETTLED', `rows changed faster than they could be compared: ${JSON.stringify(counts)}`, {
    details: { tables: counts },
  });
}

async function noWait(): Promise<void> {}
