import type { Definitions } from './stream-schema.ts';
import { quoteText, textOf, type ServerConnection } from '../server/connection.ts';
import type { LoggedQuery } from '../stream/query-event.ts';
import { statementEffect } from '../stream/statement-effect.ts';
import { isSameName } from '../stream/stream-scope.ts';

/**
 * Tables of the destination that a DDL statement names and that are not imported: whose they are, and what they hold, is not known.
 * Run as it stands, RENAME TABLE (the swap of an online schema change) or EXCHANGE PARTITION would put such rows in the place of
 * imported ones, and DROP TABLE would take away what is not ours.
 */
export async function foreignTables(
  destination: ServerConnection,
  { ddl, database, imported }: { ddl: LoggedQuery; database: string; imported: Definitions },
): Promise<string[]> {
  const effect = statementEffect(ddl);
  if (effect.kind !== 'tables') return [];
  const others = effect.tables.filter(
    ({ schema, name }) =>
      isSameName(schema, database) && ![...imported.keys()].some((known) => isSameName(name, known)),
  );
  if (others.length === 0) return [];
  const found = await destination.rows(
    `SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${quoteText(database)} AND TABLE_TYPE = 'BASE TABLE'`,
  );
  return found
    .map(([name]) => textOf(name ?? ''))
    .filter((there) => others.some(({ name }) => isSameName(name, there)));
}
