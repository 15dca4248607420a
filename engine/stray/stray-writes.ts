import { z } from 'zod';
import { describeKey } from '../apply/refusal.ts';
import { keyValues } from '../apply/window.ts';
import type { RowImage, Table } from '../schema/table.ts';
import { textLiteral, unlessMissing } from '../kept-rows.ts';
import { quoteText, type Bytes, type ServerConnection } from '../server/connection.ts';
import type { StrayWriteView } from '../api.ts';
import { UNMARKED_TABLE } from '../stream/stream-scope.ts';
import { imageOf } from './stray-image.ts';
import type { StreamTransaction } from '../stream/transaction.ts';

const WRITES = '_switchyard.stray_writes';
const APPLIED = `_switchyard.${UNMARKED_TABLE}`;
const STATEMENT_BYTES_MAX = 1024 * 1024;

/** On the new primary. Which of them were applied is a table of its own: see `UNMARKED_TABLE`. */
export const STRAY_TABLES: Bytes[] = [
  `CREATE TABLE IF NOT EXISTS ${WRITES} (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  import_id VARCHAR(63) CHARACTER SET ascii NOT NULL,
  gtid VARCHAR(128) CHARACTER SET ascii NOT NULL,
  committed_at_ms BIGINT UNSIGNED NOT NULL,
  table_name VARCHAR(64) CHARACTER SET utf8mb4 NOT NULL,
  kind VARCHAR(9) CHARACTER SET ascii NOT NULL,
  row_key LONGTEXT CHARACTER SET utf8mb4 NOT NULL,
  before_image LONGTEXT CHARACTER SET utf8mb4 NULL,
  after_image LONGTEXT CHARACTER SET utf8mb4 NULL,
  statement LONGTEXT CHARACTER SET utf8mb4 NULL,
  KEY (import_id, id)
) ENGINE=InnoDB COMMENT='Switchyard: writes that reached the old primary after a switch'`,
  `CREATE TABLE IF NOT EXISTS ${APPLIED} (
  stray_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  applied_at_ms BIGINT UNSIGNED NOT NULL,
  applied_by VARCHAR(255) CHARACTER SET utf8mb4 NOT NULL
) ENGINE=InnoDB COMMENT='Switchyard: stray writes that were applied here'`,
];

export interface StrayCounts {
  count: number;
  unapplied: number;
  lastAtMs: number | null;
}

/** A row change, or a statement: DDL, or rows that were logged as a statement and cannot be told. */
export interface StrayRecord {
  gtid: string;
  committedAtMs: number;
  table: string;
  kind: StrayWriteView['kind'];
  key: string;
  before: string | null;
  after: string | null;
  statement: string | null;
}

export function strayRecords({ gtid, committedAtMs, changes, ddl }: StreamTransaction): StrayRecord[] {
  const records: StrayRecord[] = changes.map((change) => {
    const { table, kind } = change;
    const before = change.kind === 'insert' ? null : change.before;
    const after = change.kind === 'delete' ? null : change.after;
    const json = (image: RowImage | null) => (image === null ? null : JSON.stringify(imageOf(table, image)));
    const key = keyText(table, before ?? after ?? []);
    return {
      gtid,
      committedAtMs,
      table: table.name,
      kind,
      key,
      before: json(before),
      after: json(after),
      statement: null,
    };
  });
  if (ddl !== null) records.push(strayStatement({ gtid, committedAtMs, kind: 'ddl', statement: ddl.sql }));
  return records;
}

export function strayStatement(
  record: Pick<StrayRecord, 'gtid' | 'committedAtMs' | 'kind' | 'statement'>,
): StrayRecord {
  return { ...record, table: '', key: '', before: null, after: null };
}

/** A row image without its key (binlog_row_image of one session) is kept all the same. */
function keyText(table: Table, image: RowImage): string {
  try {
    return describeKey(keyValues(table, image));
  } catch {
    return '?';
  }
}

export function* insertStatements(importId: string, records: StrayRecord[]): Generator<Bytes> {
  const prefix = `INSERT INTO ${WRITES} (import_id, gtid, committed_at_ms, table_name, kind, row_key, before_image, after_image, statement) VALUES `;
  let values: Bytes[] = [];
  let bytes = 0;
  for (const { gtid, committedAtMs, table, kind, key, before, after, statement } of records) {
    const texts = [table, kind, key, before, after, statement].map(textLiteral).join(', ');
    const row = `(${textLiteral(importId)}, ${textLiteral(gtid)}, ${Math.trunc(committedAtMs)}, ${texts})`;
    values.push(row);
    bytes += row.length;
    if (bytes < STATEMENT_BYTES_MAX) continue;
    yield prefix + values.join(',');
    values = [];
    bytes = 0;
  }
  if (values.length > 0) yield prefix + values.join(',');
}

export async function countStrayWrites(connection: ServerConnection, importId: string): Promise<StrayCounts> {
  const row = await unlessMissing(
    connection.selectOne<{ count: string; unapplied: string | null; last: string | null }>(
      `SELECT COUNT(*) AS count, SUM(a.stray_id IS NULL) AS unapplied, MAX(w.committed_at_ms) AS last ` +
        `FROM ${WRITES} w LEFT JOIN ${APPLIED} a ON a.stray_id = w.id WHERE w.import_id = ${quoteText(importId)}`,
    ),
    undefined,
  );
  const last = row?.last ?? null;
  return {
    count: Number(row?.count ?? 0),
    unapplied: Number(row?.unapplied ?? 0),
    lastAtMs: last === null ? null : Number(last),
  };
}

export interface StraySelection {
  importId: string;
  /** Only these; left out: all. */
  ids?: number[];
  unappliedOnly?: boolean;
  /** Only greater ids: the next page. */
  after?: number;
  limit?: number;
}

const storedImage = z
  .string()
  .nullable()
  .transform((text) => (text === null ? null : imageSchema.parse(JSON.parse(text))));
const imageSchema = z.record(z.string(), z.union([z.string(), z.strictObject({ hex: z.string() }), z.null()]));
const rowSchema = z.object({
  id: z.coerce.number(),
  gtid: z.string(),
  committedAtMs: z.coerce.number(),
  table: z.string(),
  kind: z.enum(['insert', 'update', 'delete', 'ddl', 'statement']),
  key: z.string(),
  before: storedImage,
  after: storedImage,
  statement: z.string().nullable(),
  applied: z.string().transform((text) => text === '1'),
});

/** In the order in which they were committed. */
export async function listStrayWrites(
  connection: ServerConnection,
  { importId, ids, unappliedOnly = false, after = 0, limit = 1000 }: StraySelection,
): Promise<StrayWriteView[]> {
  if (ids?.length === 0) return [];
  const conditions = [
    `w.import_id = ${quoteText(importId)}`,
    `w.id > ${Math.trunc(after)}`,
    ...(ids === undefined ? [] : [`w.id IN (${ids.map(Math.trunc).join(',')})`]),
    ...(unappliedOnly ? ['a.stray_id IS NULL'] : []),
  ];
  const rows = await unlessMissing(
    connection.select(
      'SELECT w.id, w.gtid, w.committed_at_ms AS committedAtMs, w.table_name AS `table`, w.kind, w.row_key AS `key`, w.before_image AS `before`, ' +
        `w.after_image AS \`after\`, w.statement, a.stray_id IS NOT NULL AS applied FROM ${WRITES} w LEFT JOIN ${APPLIED} a ON a.stray_id = w.id ` +
        `WHERE ${conditions.join(' AND ')} ORDER BY w.id LIMIT ${Math.trunc(limit)}`,
    ),
    [],
  );
  return rows.map((row) => rowSchema.parse(row));
}

/** Part of the transaction that applies the write; a second application fails on the primary key. */
export function markAppliedStatement(id: number, actor: string): Bytes {
  return `INSERT INTO ${APPLIED} VALUES (${Math.trunc(id)}, ${Date.now()}, ${quoteText(actor.slice(0, 255))})`;
}
