import type { ServerConnection } from '../server/connection.ts';
import { createObject, dropObject, setEventEnabled } from './create-object.ts';
import { readActiveObjects } from './read-objects.ts';
import type { ActiveObjects, StoredObject } from './stored-object.ts';

export interface ObjectPlace {
  /** With `multiStatements`. */
  connection: ServerConnection;
  database: string;
  tables: readonly string[];
}

/**
 * Makes triggers and events work on this side: what is missing is created, what is disabled enabled. Idempotent: a
 * crash in the middle is cured by doing it again.
 */
export async function activateObjects(
  { connection, database, tables }: ObjectPlace,
  objects: ActiveObjects,
): Promise<void> {
  const present = await readActiveObjects(connection, database, tables);
  for (const trigger of objects.triggers) {
    if (!has(present.triggers, trigger)) await createObject(connection, database, trigger);
  }
  for (const event of objects.events) {
    const there = present.events.find(({ name }) => name === event.name);
    if (there === undefined) await createObject(connection, database, event, { isEnabled: event.enabled });
    else if (there.enabled !== event.enabled) await setEventEnabled(connection, database, event, event.enabled);
  }
}

/** Triggers are taken away from this side: there is no way to turn one off. Definitions are in `objects`. */
export async function removeTriggers(
  { connection, database, tables }: ObjectPlace,
  objects: ActiveObjects,
): Promise<void> {
  const present = await readActiveObjects(connection, database, tables);
  for (const trigger of present.triggers) {
    if (has(objects.triggers, trigger)) await dropObject(connection, database, trigger);
  }
}

/** Events are kept on this side, disabled. */
export async function disableEvents(
  { connection, database, tables }: ObjectPlace,
  objects: ActiveObjects,
): Promise<void> {
  const present = await readActiveObjects(connection, database, tables);
  for (const event of present.events) {
    if (event.enabled && has(objects.events, event)) await setEventEnabled(connection, database, event, false);
  }
}

function has(objects: readonly StoredObject[], { name }: StoredObject): boolean {
  return objects.some((object) => object.name === name);
}
