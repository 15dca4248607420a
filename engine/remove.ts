import type { Side } from '../core/phase.ts';
import type { ImportRecord } from './import-store.ts';
import { dropObject } from './objects/create-object.ts';
import { quoteName, type ServerConnection } from './server/connection.ts';
import { dropSidecar } from './sidecar.ts';

export interface RemoveWorld {
  readonly record: ImportRecord;
  connect(side: Side): Promise<ServerConnection>;
}

/** Drops what Switchyard made on the target, and nothing else: its list was stored before anything was made. */
export async function removeTarget(world: RemoveWorld): Promise<void> {
  const { database, created } = world.record.document;
  await using target = await world.connect('target');
  for (const object of created.objects) await dropObject(target, database, object);
  await target.write('SET SESSION foreign_key_checks=0');
  for (const table of created.tables)
    await target.write(`DROP TABLE IF EXISTS ${quoteName(database)}.${quoteName(table)}`);
  if (created.schema && (await isEmptySchema(target, database)))
    await target.write(`DROP DATABASE IF EXISTS ${quoteName(database)}`);
  await dropSidecar(target);
}

export async function removeSidecar(world: RemoveWorld, side: Side): Promise<void> {
  await using connection = await world.connect(side);
  await dropSidecar(connection);
}

async function isEmptySchema(connection: ServerConnection, database: string): Promise<boolean> {
  const rows = await connection.rows(`SHOW TABLES FROM ${quoteName(database)}`).catch(() => []);
  return rows.length === 0;
}
