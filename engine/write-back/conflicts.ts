import { z } from 'zod';
import type { ConflictView } from '../api.ts';
import { textLiteral, unlessMissing } from '../kept-rows.ts';
import { quoteText, type Bytes, type ServerConnection } from '../server/connection.ts';
import type { LostChange } from './message.ts';

const CONFLICTS = '_switchyard.conflicts';

/** On the target, beside the rows that took their place, in the same transaction. */
export const CONFLICTS_DDL = `CREATE TABLE IF NOT EXISTS ${CONFLICTS} (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  import_id VARCHAR(63) CHARACTER SET ascii NOT NULL,
  gtid VARCHAR(128) CHARACTER SET ascii NOT NULL,
  committed_at_ms BIGINT UNSIGNED NOT NULL,
  found_at_ms BIGINT UNSIGNED NOT NULL,
  table_name VARCHAR(64) CHARACTER SET utf8mb4 NOT NULL,
  kind VARCHAR(9) CHARACTER SET ascii NOT NULL,
  before_image LONGTEXT CHARACTER SET utf8mb4 NULL,
  after_image LONGTEXT CHARACTER SET utf8mb4 NULL,
  source_rows LONGTEXT CHARACTER SET utf8mb4 NOT NULL,
  reason LONGTEXT CHARACTER SET utf8mb4 NOT NULL,
  KEY (import_id, id)
) ENGINE=InnoDB COMMENT='Switchyard: writes on the target that lost against the source'`;

export interface ConflictCounts {
  count: number;
  lastAtMs: number | null;
}

export interface LostTransaction {
  gtid: string;
  committedAtMs: number;
  reason: string;
  changes: LostChange[];
}

export function conflictStatements(
  importId: string,
  { gtid, committedAtMs, reason, changes }: LostTransaction,
): Bytes[] {
  return changes.map(({ table, change, before, after, now }) => {
    const json = (value: object | null) => (value === null ? null : JSON.stringify(value));
    const texts = [table, change, json(before), json(after), json(now), reason].map(textLiteral).join(', ');
    return (
      `INSERT INTO ${CONFLICTS} (import_id, gtid, committed_at_ms, found_at_ms, table_name, kind, before_image, after_image, source_rows, reason) ` +
      `VALUES (${textLiteral(importId)}, ${textLiteral(gtid)}, ${Math.trunc(committedAtMs)}, ${Date.now()}, ${texts})`
    );
  });
}

export async function countConflicts(connection: ServerConnection, importId: string): Promise<ConflictCounts> {
  const row = await unlessMissing(
    connection.selectOne<{ count: string; last: string | null }>(
      `SELECT COUNT(*) AS count, MAX(found_at_ms) AS last FROM ${CONFLICTS} WHERE import_id = ${quoteText(importId)}`,
    ),
    undefined,
  );
  const last = row?.last ?? null;
  return { count: Number(row?.count ?? 0), lastAtMs: last === null ? null : Number(last) };
}

const imageSchema = z.record(z.string(), z.union([z.string(), z.strictObject({ hex: z.string() }), z.null()]));
const storedImage = z
  .string()
  .nullable()
  .transform((text) => (text === null ? null : imageSchema.parse(JSON.parse(text))));
const rowSchema = z.object({
  id: z.coerce.number(),
  gtid: z.string(),
  committedAtMs: z.coerce.number(),
  foundAtMs: z.coerce.number(),
  table: z.string(),
  kind: z.enum(['insert', 'update', 'delete']),
  before: storedImage,
  after: storedImage,
  source: z
    .string()
    .transform((text) =>
      z.array(z.strictObject({ key: imageSchema, row: imageSchema.nullable() })).parse(JSON.parse(text)),
    ),
  reason: z.string(),
});

/** In the order in which they were found. */
export async function listConflicts(
  connection: ServerConnection,
  importId: string,
  { after = 0, limit = 1000 }: { after?: number; limit?: number },
): Promise<ConflictView[]> {
  const rows = await unlessMissing(
    connection.select(
      'SELECT id, gtid, committed_at_ms AS committedAtMs, found_at_ms AS foundAtMs, table_name AS `table`, kind, before_image AS `before`, ' +
        `after_image AS \`after\`, source_rows AS source, reason FROM ${CONFLICTS} ` +
        `WHERE import_id = ${quoteText(importId)} AND id > ${Math.trunc(after)} ORDER BY id LIMIT ${Math.trunc(limit)}`,
    ),
    [],
  );
  return rows.map((row) => rowSchema.parse(row));
}
