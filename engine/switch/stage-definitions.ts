import type { Side } from '../../core/phase.ts';
import { PreparedSchema } from '../ddl/prepared-schema.ts';
import { inspectTables } from '../schema/inspect.ts';
import type { ServerConnection } from '../server/connection.ts';
import { executedPosition } from '../server/position.ts';
import { createSidecar } from '../sidecar.ts';
import { flavorOf, hasStreamBack, type SwitchWorld } from './switch-world.ts';

/**
 * Ahead of the pause: what the tables of the new primary are, for the stream from there to the old one. That begins when applications
 * write there already, and may change them.
 */
export async function stageDefinitions(
  { record: { document } }: SwitchWorld,
  side: Side,
  { from, to }: { from: ServerConnection; to: ServerConnection },
): Promise<void> {
  if (!hasStreamBack(document, side)) return;
  await createSidecar(from);
  const position = (await executedPosition(to, flavorOf(document, side))).toString();
  const tables = (await inspectTables(to, document.database, 'all')).filter(({ name }) =>
    document.tables.includes(name),
  );
  // One that is missing keeps the switch back unless it is forced; the stream looks for it itself.
  if (tables.length < document.tables.length) return;
  await new PreparedSchema(document.id).keep(from, { tables, position });
}
