import type { Finding } from '../api.ts';
import type { ServerConnection } from '../server/connection.ts';
import { ReachingObjects } from '../stream/reaching-objects.ts';
import { isSameName } from '../stream/stream-scope.ts';
import { finding, listed } from './finding.ts';

/** Stored code of other databases that names imported tables, as far as our user may see it. */
export async function checkOutside(
  source: ServerConnection,
  database: string,
  tables: readonly string[],
): Promise<Finding[]> {
  const inScope = (schema: string) => isSameName(schema, database);
  const reaching = await ReachingObjects.read(
    source,
    (schema, name) => inScope(schema) && tables.some((table) => isSameName(name, table)),
  );
  const outside = reaching.outside(inScope);
  return outside.length === 0 ? [] : [finding('OUTSIDE_OBJECTS', 'source', null, listed(outside))];
}
