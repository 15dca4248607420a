import { createHash } from 'node:crypto';
import { z } from 'zod';
import { insertColumns } from '../schema/column-sql.ts';
import type { RowImage } from '../schema/table.ts';
import { bytesOf, escapeBytes, textOf, type Bytes } from '../server/connection.ts';
import { SIDECAR_SCHEMA } from '../sidecar.ts';
import type { RowChange } from '../stream/transaction.ts';

/** The table's name within `_switchyard`. */
export const MESSAGES_TABLE = 'messages';
const MESSAGES = `${SIDECAR_SCHEMA}.${MESSAGES_TABLE}`;

/**
 * How the write-back speaks to the stream that reads the source: rows that it inserts and deletes within one transaction.
 * They are in the log at exactly the place of that transaction, and the table is always empty.
 */
export const MESSAGES_DDL = `CREATE TABLE IF NOT EXISTS ${MESSAGES} (
  number INT UNSIGNED NOT NULL PRIMARY KEY,
  body LONGTEXT CHARACTER SET utf8mb4 NOT NULL
) ENGINE=InnoDB COMMENT='Switchyard: from one stream to the other, through the log; always empty'`;

const image = z.record(z.string(), z.union([z.string(), z.strictObject({ hex: z.string() }), z.null()]));
const messageSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('applied'),
    /** Of the transaction on the target. */
    gtid: z.string(),
    /** How far the stream to the target was applied there when that transaction was committed; null: not known. */
    seen: z.string().nullable(),
    /** `sumOf` its changes. */
    sum: z.string(),
  }),
  z.strictObject({
    kind: z.literal('conflict'),
    gtid: z.string(),
    committedAtMs: z.number(),
    reason: z.string(),
  }),
  z.strictObject({
    kind: z.literal('lost'),
    table: z.string(),
    change: z.enum(['insert', 'update', 'delete']),
    before: image.nullable(),
    after: image.nullable(),
    /** What the source has for the keys of this change, as of this place of its log; null: no row. */
    now: z.array(z.strictObject({ key: image, row: image.nullable() })),
  }),
]);
export type Message = z.infer<typeof messageSchema>;
export type LostChange = Extract<Message, { kind: 'lost' }>;

export function insertMessage(number: number, message: Message): Bytes {
  return `INSERT INTO ${MESSAGES} VALUES (${number}, _utf8mb4'${escapeBytes(bytesOf(JSON.stringify(message)))}')`;
}

export const DELETE_MESSAGES: Bytes = `DELETE FROM ${MESSAGES}`;

/** Those that a transaction of the source's log brings. */
export function messagesOf(own: readonly RowChange[]): Message[] {
  return own.flatMap((change) => {
    if (change.kind !== 'insert' || change.table.name !== MESSAGES_TABLE) return [];
    const body = change.after[change.table.columns.findIndex(({ name }) => name === 'body')];
    return [messageSchema.parse(JSON.parse(textOf(body ?? '')))];
  });
}

/**
 * Equal where two transactions change the same rows in the same way. What a trigger, a cascade or a conversion adds on the
 * source makes it another one.
 */
export function sumOf(changes: readonly RowChange[]): string {
  const hash = createHash('sha256');
  for (const change of changes) {
    const columns = insertColumns(change.table);
    const values = (row: RowImage) => columns.map((column) => row[change.table.columns.indexOf(column)] ?? null);
    const before = change.kind === 'insert' ? null : values(change.before);
    const after = change.kind === 'delete' ? null : values(change.after);
    hash.update(JSON.stringify([change.kind, change.table.name, before, after]));
  }
  return hash.digest('base64');
}
