import { quoteText, textOf, type ServerConnection } from '../server/connection.ts';
import type { Table } from './table.ts';

/**
 * `tables` with the unique keys that the server has beside theirs, by name. A row that is written there may meet another one
 * in them, of which their own definition, the other side's, knows nothing.
 */
export async function withAddedKeys<T extends Table | null>(
  connection: ServerConnection,
  database: string,
  tables: Map<string, T>,
): Promise<Map<string, T>> {
  const rows = await connection.rows(
    `SELECT TABLE_NAME, INDEX_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ${quoteText(database)} AND NON_UNIQUE = 0 AND SEQ_IN_INDEX = 1`,
  );
  const keys = Map.groupBy(rows, ([table]) => textOf(table ?? ''));
  return new Map(
    [...tables].map(([name, table]) => {
      if (table === null) return [name, table];
      const known = new Set([table.key, ...table.uniqueKeys].map((key) => key?.name));
      const added = (keys.get(name) ?? []).map(([, key]) => textOf(key ?? '')).filter((key) => !known.has(key));
      if (added.length === 0) return [name, table];
      // Which columns they are over does not matter: such keys are left to the server (`placeRows`).
      const others = added.map((key) => ({ name: key, columns: [], whole: false }));
      return [name, { ...table, uniqueKeys: [...table.uniqueKeys, ...others] }];
    }),
  );
}
