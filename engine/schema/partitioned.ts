import { quoteText, textOf, type ServerConnection } from '../server/connection.ts';
import type { Table } from './table.ts';

/** `tables` with the note `partitioned` on those that are so on this server. */
export async function withPartitions<T extends Table | null | undefined>(
  connection: ServerConnection,
  database: string,
  tables: Map<string, T>,
): Promise<Map<string, T>> {
  const rows = await connection.rows(
    `SELECT DISTINCT TABLE_NAME FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA = ${quoteText(database)} AND PARTITION_NAME IS NOT NULL`,
  );
  const names = new Set(rows.map(([name]) => textOf(name ?? '')));
  if (names.size === 0) return tables;
  return new Map(
    [...tables].map(([name, table]) => [
      name,
      table == null || !names.has(name) ? table : { ...table, partitioned: true },
    ]),
  );
}
