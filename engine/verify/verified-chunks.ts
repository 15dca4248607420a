import { boundLiteral, parseBound } from '../copy/bound-text.ts';
import type { Chunk } from '../copy/chunk.ts';
import { quoteText, ServerConnection, textOf, type Bytes } from '../server/connection.ts';
import type { ServerDefinition } from '../api.ts';
import { createSidecar, SIDECAR_SCHEMA } from '../sidecar.ts';

const TABLE: Bytes = `${SIDECAR_SCHEMA}.verify_chunks`;
const FLUSH_MS = 1000;

const VERIFY_CHUNKS_DDL: Bytes = `CREATE TABLE IF NOT EXISTS ${TABLE} (
  import_id VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  run BIGINT UNSIGNED NOT NULL,
  table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  seq INT UNSIGNED NOT NULL,
  lower_bound MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  upper_bound MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  row_count BIGINT UNSIGNED NOT NULL,
  done_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (import_id, run, table_name, seq)
) ENGINE=InnoDB COMMENT='Switchyard: chunks that a verification has found equal'`;

export interface VerifiedChunk extends Chunk {
  rows: number;
}

/**
 * The chunks that one verification has found equal, on the target, so that it can go on after a pause or a restart. What
 * was written in a chunk behind its comparison is no matter here: that is looked up in the log (`touchedSince`). So a
 * chunk may be noted a second late, which then is all that is lost.
 */
export class VerifiedChunks {
  readonly #target: ServerDefinition;
  readonly #importId: string;
  readonly #run: number;
  #waiting: Bytes[] = [];
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> = Promise.resolve();

  /** `run`: what tells this verification from others of the import. */
  constructor(target: ServerDefinition, importId: string, run: number) {
    this.#target = target;
    this.#importId = importId;
    this.#run = run;
  }

  /** Forgets those of others. */
  async begin(): Promise<void> {
    await using connection = await ServerConnection.open(this.#target);
    await createSidecar(connection, [VERIFY_CHUNKS_DDL]);
    await connection.write(`DELETE FROM ${TABLE} WHERE import_id=${quoteText(this.#importId)} AND run<>${this.#run}`);
  }

  async load(): Promise<Map<string, VerifiedChunk[]>> {
    await using connection = await ServerConnection.open(this.#target);
    const rows = await connection.rows(
      `SELECT table_name,seq,lower_bound,upper_bound,row_count FROM ${TABLE} WHERE import_id=${quoteText(this.#importId)} AND run=${this.#run} ORDER BY table_name,seq`,
    );
    const chunks = rows.map(([table, seq, lower, upper, count]) => ({
      table: textOf(table ?? ''),
      seq: Number(seq),
      lower: parseBound(lower),
      upper: parseBound(upper),
      rows: Number(count),
    }));
    return Map.groupBy(chunks, ({ table }) => table);
  }

  async forget(table: string): Promise<void> {
    await using connection = await ServerConnection.open(this.#target);
    await connection.write(
      `DELETE FROM ${TABLE} WHERE import_id=${quoteText(this.#importId)} AND table_name=${quoteText(table)}`,
    );
  }

  add(table: string, { seq, lower, upper, rows }: VerifiedChunk): void {
    const values = [
      quoteText(this.#importId),
      this.#run,
      quoteText(table),
      seq,
      boundLiteral(lower),
      boundLiteral(upper),
      rows,
    ];
    this.#waiting.push(`(${values.join(',')})`);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      // Not noted now, it is compared once more some day.
      this.flush().catch(() => {});
    }, FLUSH_MS);
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const flushing = this.#flushing.then(() => this.#write());
    this.#flushing = flushing.catch(() => {});
    await flushing;
  }

  async #write(): Promise<void> {
    const rows = this.#waiting;
    this.#waiting = [];
    if (rows.length === 0) return;
    await using connection = await ServerConnection.open(this.#target);
    await connection.write(
      `REPLACE INTO ${TABLE} (import_id,run,table_name,seq,lower_bound,upper_bound,row_count) VALUES ${rows.join(',')}`,
    );
  }
}
