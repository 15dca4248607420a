import { systemClock } from '../../core/clock.ts';
import { gapsOf, type Chunk } from '../copy/chunk.ts';
import { keyColumns } from '../copy/key-range.ts';
import { TableChunks } from '../copy/table-chunks.ts';
import type { RowKey } from '../apply/window.ts';
import { rowBytes, type Table } from '../schema/table.ts';
import type { ServerConnection, Value } from '../server/connection.ts';
import { checkChunk } from './check-chunk.ts';
import { mirroredDifference, type RowDifference } from './compare-digests.ts';
import { recheckKeys, type Keys, type RecheckContext } from './recheck-keys.ts';
import type { TablePair } from './table-pair.ts';
import type { VerifiedChunk } from './verified-chunks.ts';
import { TableProgress } from './verify-progress.ts';

/** Rounds in which a chunk's suspects are looked at before they are left for the end. */
const ROUNDS_PER_CHUNK = 3;

type Context = Omit<RecheckContext, 'table'>;

export interface TableEvents {
  /** See `KeptVerificationOptions`: what `progress` shows is in the terms of the import, what is told of here is not. */
  mirrored?: boolean;
  onFound?: (differences: RowDifference[]) => void;
  /** A chunk without a row that differs or is unsure. */
  onEqual?: (chunk: VerifiedChunk) => void;
}

/** One table: its chunks, handed out to workers, and the keys that are unsure after them. */
export class TableVerification {
  readonly table: TablePair;
  readonly progress: TableProgress;
  readonly #chunks: TableChunks;
  readonly #unsure = new Map<RowKey, Value[]>();
  readonly #events: TableEvents;
  #cut = 0;
  #done = 0;

  /** `done`: chunks that were found equal before a pause. */
  constructor(
    table: TablePair,
    { chunkBytes, done = [], ...events }: { chunkBytes: number; done?: readonly VerifiedChunk[] } & TableEvents,
  ) {
    this.table = table;
    this.#events = events;
    const measured = measuredTable(table);
    this.#chunks = new TableChunks(measured, gapsOf(done), chunkBytes);
    this.progress = new TableProgress(
      table.name,
      keyColumns(measured),
      Math.max(1, Math.ceil(measured.bytes / chunkBytes)),
    );
    if (done.length > 0) this.#goOn(done);
  }

  #goOn(done: readonly VerifiedChunk[]): void {
    this.#cut = done.length;
    this.#done = done.length;
    this.progress.started(this.#cut);
    for (const { rows } of done) this.progress.chunkDone(rows);
    if (!this.#chunks.open) this.progress.cut(this.#cut);
    this.#endIfSettled();
  }

  /** Null when all are handed out. */
  async nextChunk(source: ServerConnection): Promise<Chunk | null> {
    const chunk = await this.#chunks.next(source);
    if (chunk === null) return null;
    this.#cut += 1;
    this.progress.started(this.#cut);
    if (!this.#chunks.open) this.progress.cut(this.#cut);
    return chunk;
  }

  /** Answers how many rows it has on the source. */
  async check(context: Context, range: Chunk): Promise<number> {
    const beganMs = systemClock.monotonicMs();
    const { rows, suspects } = await checkChunk({ ...context, table: this.table }, range);
    this.#chunks.took(rows, systemClock.monotonicMs() - beganMs);
    let open: Keys = suspects;
    const differences = [];
    for (let round = 0; round < ROUNDS_PER_CHUNK && open.size > 0; round += 1) {
      const result = await recheckKeys({ ...context, table: this.table }, open);
      differences.push(...result.differences);
      open = result.unsure;
    }
    // Only now, so that a chunk that begins anew with another connection counts once.
    this.#found(differences);
    for (const [key, values] of open) this.#unsure.set(key, values);
    this.#done += 1;
    this.progress.chunkDone(rows);
    if (differences.length === 0 && open.size === 0) this.#events.onEqual?.({ ...range, rows });
    this.#endIfSettled();
    return rows;
  }

  get unsure(): Keys {
    return this.#unsure;
  }

  /** Another look at the keys that are unsure. */
  async settle(context: Context): Promise<void> {
    const { differences, unsure } = await recheckKeys({ ...context, table: this.table }, new Map(this.#unsure));
    this.#found(differences);
    this.#unsure.clear();
    for (const [key, values] of unsure) this.#unsure.set(key, values);
    this.#endIfSettled();
  }

  #found(differences: RowDifference[]): void {
    this.progress.add(this.#events.mirrored === true ? differences.map(mirroredDifference) : differences);
    if (differences.length > 0) this.#events.onFound?.(differences);
  }

  #endIfSettled(): void {
    if (!this.#chunks.open && this.#done === this.#cut && this.#unsure.size === 0) this.progress.ended();
  }
}

/** The source's table, of the size that the target has where the source does not know it. */
function measuredTable({ source, target }: TablePair): Table {
  const { rowsEstimate, bytes } = rowBytes(source.table) === null ? target.table : source.table;
  return { ...source.table, rowsEstimate, bytes };
}
