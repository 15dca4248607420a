import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import type { ServerConnection } from '../server/connection.ts';
import { inspectTables } from './inspect.ts';
import type { Table } from './table.ts';

const missingSchema = z.object({ missing: z.array(z.string()) });

/** Those of the named base tables that there are: others may have been dropped a moment ago. */
export async function existingTables(
  connection: ServerConnection,
  database: string,
  names: readonly string[],
): Promise<Table[]> {
  if (names.length === 0) return [];
  try {
    return await inspectTables(connection, database, [...names]);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'TABLE_UNKNOWN') throw error;
    const { missing } = missingSchema.parse(error.details);
    return await existingTables(
      connection,
      database,
      names.filter((name) => !missing.includes(name)),
    );
  }
}
