import { quoteText, textOf, type Bytes, type ServerConnection } from '../server/connection.ts';
import type { Chunk } from './chunk.ts';
import { COPY_RUNS_DDL } from './copy-run.ts';
import { boundLiteral, parseBound } from './bound-text.ts';

const TABLE: Bytes = '`_switchyard`.`copy_chunks`';

/** Chunks that have landed: a row is written in the transaction of its rows, so it is there exactly if they are. */
const COPY_CHUNKS_DDL = `CREATE TABLE IF NOT EXISTS ${TABLE} (
  import_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  seq INT UNSIGNED NOT NULL,
  lower_bound MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  upper_bound MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  row_count BIGINT UNSIGNED NOT NULL,
  byte_count BIGINT UNSIGNED NOT NULL,
  stamp MEDIUMTEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  done_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (import_id, table_name, seq)
) ENGINE=InnoDB`;

/** What a copy needs in `_switchyard`. */
export const COPY_TABLES: Bytes[] = [COPY_CHUNKS_DDL, COPY_RUNS_DDL];

export interface LandedChunk extends Chunk {
  rows: number;
  bytes: number;
}

/** The marker of one chunk. A second one of the same number is a duplicate key: a chunk cannot land twice. */
export function insertMarker(
  importId: string,
  table: string,
  { seq, lower, upper, rows, bytes }: LandedChunk,
  stamp: Bytes,
): Bytes {
  const values = [
    quoteText(importId),
    quoteText(table),
    seq,
    boundLiteral(lower),
    boundLiteral(upper),
    rows,
    bytes,
    quoteText(textOf(stamp)),
  ];
  return `INSERT INTO ${TABLE} (import_id, table_name, seq, lower_bound, upper_bound, row_count, byte_count, stamp) VALUES (${values.join(',')})`;
}

/** All chunks of `table` that have landed. */
export async function landedChunks(
  connection: ServerConnection,
  importId: string,
  table: string,
): Promise<LandedChunk[]> {
  return read(connection, `import_id = ${quoteText(importId)} AND table_name = ${quoteText(table)}`);
}

/** The same of all tables, by name. */
export async function landedChunksByTable(
  connection: ServerConnection,
  importId: string,
): Promise<Map<string, LandedChunk[]>> {
  const rows = await read(connection, `import_id = ${quoteText(importId)}`);
  return Map.groupBy(rows, ({ table }) => table);
}

export async function landedChunk(
  connection: ServerConnection,
  importId: string,
  table: string,
  seq: number,
): Promise<LandedChunk | undefined> {
  return (
    await read(connection, `import_id = ${quoteText(importId)} AND table_name = ${quoteText(table)} AND seq = ${seq}`)
  )[0];
}

/** Forgets the chunks of an import; of one table where it is named, which then is copied from the beginning. */
export async function forgetChunks(connection: ServerConnection, importId: string, table?: string): Promise<void> {
  const only = table === undefined ? '' : ` AND table_name = ${quoteText(table)}`;
  await connection.write(`DELETE FROM ${TABLE} WHERE import_id = ${quoteText(importId)}${only}`);
}

async function read(connection: ServerConnection, where: Bytes): Promise<(LandedChunk & { table: string })[]> {
  const rows = await connection.rows(
    `SELECT table_name, seq, lower_bound, upper_bound, row_count, byte_count FROM ${TABLE} WHERE ${where} ORDER BY table_name, seq`,
  );
  return rows.map(([table, seq, lower, upper, rowCount, byteCount]) => ({
    table: textOf(table ?? ''),
    seq: Number(seq),
    lower: parseBound(lower),
    upper: parseBound(upper),
    rows: Number(rowCount),
    bytes: Number(byteCount),
  }));
}
