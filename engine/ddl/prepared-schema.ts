import { z } from 'zod';
import type { Table } from '../schema/table.ts';
import { quoteText, textOf, type Bytes, type ServerConnection } from '../server/connection.ts';
import { STREAM_SCHEMA } from '../sidecar.ts';
import { parseDefinition } from './stream-schema.ts';

/** Beside those of the streams: older versions pass over these rows. */
const DIRECTION = 'prepared';
/** Has the position: no table is called so. */
const POSITION_NAME = '';

/** `position`: of the server that the tables are on; they were read behind it. */
export interface PreparedDefinitions {
  tables: Table[];
  position: string;
}

/**
 * Definitions for the stream that a switch begins, read ahead of its pause: the new primary's, kept on the old one, which is that stream's
 * destination. They are those of the place where it begins unless the log has DDL between: see `tablesAt` (ADR 33). What a switch that
 * was given up has left is as good, only older.
 */
export class PreparedSchema {
  readonly #where: Bytes;
  readonly #values: Bytes;

  constructor(importId: string) {
    this.#where = `import_id=${quoteText(importId)} AND direction='${DIRECTION}'`;
    this.#values = `${quoteText(importId)}, '${DIRECTION}'`;
  }

  async keep(destination: ServerConnection, { tables, position }: PreparedDefinitions): Promise<void> {
    const row = (name: string, text: string) =>
      `INSERT INTO ${STREAM_SCHEMA} VALUES (${this.#values}, ${quoteText(name)}, ${quoteText(text)})`;
    await destination.write('BEGIN');
    await destination.write(`DELETE FROM ${STREAM_SCHEMA} WHERE ${this.#where}`);
    for (const table of tables) await destination.write(row(table.name, JSON.stringify(table)));
    await destination.write(row(POSITION_NAME, JSON.stringify(position)));
    await destination.write('COMMIT');
  }

  async read(destination: ServerConnection): Promise<PreparedDefinitions | undefined> {
    const rows = await destination.rows(`SELECT table_name, definition FROM ${STREAM_SCHEMA} WHERE ${this.#where}`);
    let position: string | undefined;
    const tables: Table[] = [];
    for (const [name, text] of rows) {
      if (textOf(name ?? '') === POSITION_NAME) position = z.string().parse(JSON.parse(textOf(text ?? '')));
      else tables.push(parseDefinition(text ?? ''));
    }
    return position === undefined ? undefined : { tables, position };
  }
}
