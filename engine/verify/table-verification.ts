import { gapsOf } from '../copy/chunk.ts';
import { keyColumns, type KeyRange } from '../copy/key-range.ts';
import { TableChunks } from '../copy/table-chunks.ts';
import type { RowKey } from '../apply/window.ts';
import type { ServerConnection, Value } from '../server/connection.ts';
import { checkChunk } from './check-chunk.ts';
import type { RowDifference } from './compare-digests.ts';
import { recheckKeys, type Keys, type RecheckContext } from './recheck-keys.ts';
import type { TablePair } from './table-pair.ts';
import { TableProgress } from './verify-progress.ts';

/** Rounds in which a chunk's suspects are looked at before they are left for the end. */
const ROUNDS_PER_CHUNK = 3;

type Context = Omit<RecheckContext, 'table'>;

/** One table: its chunks, handed out to workers, and the keys that are unsure after them. */
export class TableVerification {
  readonly table: TablePair;
  readonly progress: TableProgress;
  readonly #chunks: TableChunks;
  readonly #unsure = new Map<RowKey, Value[]>();
  readonly #onFound: (differences: RowDifference[]) => void;
  #cut = 0;
  #done = 0;

  constructor(table: TablePair, chunkBytes: number, onFound: (differences: RowDifference[]) => void = () => {}) {
    this.table = table;
    this.#onFound = onFound;
    this.#chunks = new TableChunks(table.source.table, gapsOf([]), chunkBytes);
    this.progress = new TableProgress(
      table.name,
      keyColumns(table.source.table),
      Math.max(1, Math.ceil(table.source.table.bytes / chunkBytes)),
    );
  }

  /** Null when all are handed out. */
  async nextChunk(source: ServerConnection): Promise<KeyRange | null> {
    const chunk = await this.#chunks.next(source);
    if (chunk === null) return null;
    this.#cut += 1;
    this.progress.started(this.#cut);
    if (!this.#chunks.open) this.progress.cut(this.#cut);
    return chunk;
  }

  async check(context: Context, range: KeyRange): Promise<void> {
    const { rows, suspects } = await checkChunk({ ...context, table: this.table }, range);
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
    this.#endIfSettled();
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
    this.progress.add(differences);
    if (differences.length > 0) this.#onFound(differences);
  }

  #endIfSettled(): void {
    if (!this.#chunks.open && this.#done === this.#cut && this.#unsure.size === 0) this.progress.ended();
  }
}
