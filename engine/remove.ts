import type { Side } from '../core/phase.ts';
import type { ImportRecord } from './import-store.ts';
import { dropObject } from './objects/create-object.ts';
import { quoteName, quoteText, textOf, type ServerConnection } from './server/connection.ts';
import { dropSidecar, SIDECAR_SCHEMA } from './sidecar.ts';
import { UNMARKED_TABLE } from './stream/stream-scope.ts';

export interface RemoveWorld {
  readonly record: ImportRecord;
  connect(side: Side): Promise<ServerConnection>;
}

/** Kept for people beyond the import that they are of: stray writes, conflicts, repairs. */
const KEPT_FOR_PEOPLE = ['stray_writes', UNMARKED_TABLE, 'conflicts', 'verify_repairs'];
const KEPT = {
  all: new Set<string>(),
  state: new Set(KEPT_FOR_PEOPLE),
  progress: new Set([...KEPT_FOR_PEOPLE, 'route']),
} as const satisfies Record<string, ReadonlySet<string>>;
type What = keyof typeof KEPT;

/**
 * Drops what Switchyard made on the target, and nothing else: its list was stored before anything was made. `mayRemove` rejects where
 * the target may be more than that by now.
 */
export async function removeTarget(
  world: RemoveWorld,
  mayRemove: (target: ServerConnection) => Promise<void>,
): Promise<void> {
  const { id, database, created } = world.record.document;
  await using target = await world.connect('target');
  await mayRemove(target);
  for (const object of created.objects) await dropObject(target, database, object);
  await target.write('SET SESSION foreign_key_checks=0');
  for (const table of created.tables)
    await target.write(`DROP TABLE IF EXISTS ${quoteName(database)}.${quoteName(table)}`);
  if (created.schema && (await isEmptySchema(target, database)))
    await target.write(`DROP DATABASE IF EXISTS ${quoteName(database)}`);
  await removeRows(target, id, 'all');
}

/** What is of use to the import alone; what is kept for people stays. */
export async function removeState(world: RemoveWorld, side: Side): Promise<void> {
  await using connection = await world.connect(side);
  await removeRows(connection, world.record.document.id, 'state');
}

/** As `removeState`, but for the last decision: an old state that comes back after all would send writes to the source (ADR 32). */
export async function removeCompleted(world: RemoveWorld): Promise<void> {
  await using target = await world.connect('target');
  await removeRows(target, world.record.document.id, 'progress');
}

/** Rows of an earlier import of this name, whose engine has lost its data: its finished chunks are not ours. */
export async function forgetEarlier(connection: ServerConnection, importId: string): Promise<void> {
  await deleteRows(connection, importId, 'state');
}

/**
 * The schema itself goes when nothing is left in it: it may hold the progress of another installation's import, or stray writes
 * that were kept when an earlier one was completed.
 */
async function removeRows(connection: ServerConnection, importId: string, what: What): Promise<void> {
  await deleteRows(connection, importId, what);
  for (const { name } of await sidecarTables(connection)) {
    const rows = await connection.rows(`SELECT 1 FROM ${quoteName(SIDECAR_SCHEMA)}.${quoteName(name)} LIMIT 1`);
    if (rows.length > 0) return;
  }
  const [schema] = await connection.rows(
    `SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ${quoteText(SIDECAR_SCHEMA)}`,
  );
  if (schema !== undefined) await dropSidecar(connection);
}

async function deleteRows(connection: ServerConnection, importId: string, what: What): Promise<void> {
  const tables = await sidecarTables(connection);
  for (const { name, isByImport } of tables) {
    if (!isByImport || KEPT[what].has(name)) continue;
    await connection.write(
      `DELETE FROM ${quoteName(SIDECAR_SCHEMA)}.${quoteName(name)} WHERE import_id=${quoteText(importId)}`,
    );
  }
  // Numbers may be given out again, after a restart of MariaDB: they must not be found applied then.
  if (what === 'all' && tables.some(({ name }) => name === UNMARKED_TABLE))
    await connection.write(
      `DELETE FROM ${SIDECAR_SCHEMA}.${UNMARKED_TABLE} WHERE stray_id NOT IN (SELECT id FROM ${SIDECAR_SCHEMA}.stray_writes)`,
    );
}

async function sidecarTables(connection: ServerConnection): Promise<{ name: string; isByImport: boolean }[]> {
  const rows = await connection.rows(
    'SELECT t.TABLE_NAME, c.COLUMN_NAME FROM information_schema.TABLES t LEFT JOIN information_schema.COLUMNS c ' +
      "ON c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME AND c.COLUMN_NAME = 'import_id' " +
      `WHERE t.TABLE_SCHEMA = ${quoteText(SIDECAR_SCHEMA)} ORDER BY 1`,
  );
  return rows.map(([name, column]) => ({ name: textOf(name ?? ''), isByImport: column != null }));
}

async function isEmptySchema(target: ServerConnection, database: string): Promise<boolean> {
  const rows = await target.rows(`SHOW TABLES FROM ${quoteName(database)}`).catch(() => []);
  return rows.length === 0;
}
