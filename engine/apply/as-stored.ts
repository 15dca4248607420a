import { comparand } from '../schema/column-sql.ts';
import type { Column, Table } from '../schema/table.ts';
import { quoteName, quoteText, textOf, type Bytes, type ServerConnection, type Value } from '../server/connection.ts';

/** A derived table of one row, whose values are compared as if they stood in these columns. */
export type AsStored = (values: readonly (readonly [column: Column, value: Value])[]) => Bytes;

/**
 * Rows as they would stand in the table on that server, which is asked once how it compares.
 *
 * By the charset and collation that the server names for each column: in a UNION the columns of the table outrank literals on
 * MySQL, but not on every MariaDB, which then compares by the literals' own collation. With LIMIT, since MySQL would push
 * conditions into it, by way of its text: error 3854 where that is not ASCII (9.7).
 */
export async function storedIn(connection: ServerConnection, table: Table): Promise<AsStored> {
  const rows = await connection.rows(
    `SELECT COLUMN_NAME, CHARACTER_SET_NAME, COLLATION_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ${quoteText(table.schema)} AND TABLE_NAME = ${quoteText(table.name)}`,
  );
  const texts = new Map(rows.map(([name, charset, collation]) => [textOf(name ?? ''), { charset, collation }]));
  const one = (column: Column, value: Value) => {
    const written = comparand(column)(value);
    const { charset, collation } = texts.get(column.name) ?? {};
    // Members of ENUM and SET are numbers here.
    const isText = charset != null && collation != null && column.dataType !== 'enum' && column.dataType !== 'set';
    const stored = isText ? `CONVERT(${written} USING ${charset}) COLLATE ${collation}` : written;
    return `${stored} AS ${quoteName(column.name)}`;
  };
  return (values) => `(SELECT ${values.map(([column, value]) => one(column, value)).join(',')} LIMIT 1)`;
}
