import { AppError } from '../../core/errors.ts';
import { createObject, dropObject, setEventEnabled } from './create-object.ts';
import { readEvents, readTriggers, type ObjectPlace } from './read-objects.ts';
import type { ActiveObjects, StoredObject } from './stored-object.ts';

/** Creates the triggers that this side lacks. Idempotent, as all of these: a crash in the middle is cured by doing it again. */
export async function createTriggers(place: ObjectPlace, { triggers }: ActiveObjects): Promise<void> {
  const { connection, database } = place;
  if (triggers.length === 0) return;
  const present = await readTriggers(place);
  for (const trigger of triggers) if (!has(present, trigger)) await createObject(connection, database, trigger);
}

/**
 * Takes the triggers away from the side that replication is applied to: the rows have their effects already, and there
 * is no way to turn one off. Throws APPLY_TRIGGERS where one is not among `known`, whose definitions are kept.
 */
export async function removeTriggers(place: ObjectPlace, known: ActiveObjects): Promise<void> {
  const { connection, database } = place;
  const present = await readTriggers(place);
  const foreign = present.filter((trigger) => !has(known.triggers, trigger));
  if (foreign.length > 0) {
    const names = foreign.map(({ name, table }) => `${name} on ${table}`).join(', ');
    throw new AppError('APPLY_TRIGGERS', `triggers would repeat what replication applies: ${names}`, {
      details: { triggers: foreign.map(({ name }) => name) },
    });
  }
  for (const trigger of present) await dropObject(connection, database, trigger);
}

/** Events that this side lacks. */
export async function missingEvents(
  { connection, database }: ObjectPlace,
  { events }: ActiveObjects,
): Promise<StoredObject[]> {
  if (events.length === 0) return [];
  const present = await readEvents(connection, database);
  return events.filter((event) => !has(present, event));
}

/** Created, but at rest. */
export async function stageEvents(
  { connection, database }: ObjectPlace,
  events: readonly StoredObject[],
): Promise<void> {
  for (const event of events) await createObject(connection, database, event, { isEnabled: false });
}

export async function enableEvents({ connection, database }: ObjectPlace, { events }: ActiveObjects): Promise<void> {
  if (!events.some(({ enabled }) => enabled)) return;
  for (const event of await readEvents(connection, database)) {
    const wanted = events.find(({ name }) => name === event.name);
    if (wanted?.enabled === true && !event.enabled) await setEventEnabled(connection, database, event, true);
  }
}

/** Events are kept on this side, disabled. */
export async function disableEvents({ connection, database }: ObjectPlace, { events }: ActiveObjects): Promise<void> {
  if (events.length === 0) return;
  for (const event of await readEvents(connection, database)) {
    if (event.enabled && has(events, event)) await setEventEnabled(connection, database, event, false);
  }
}

function has(objects: readonly StoredObject[], { name }: StoredObject): boolean {
  return objects.some((object) => object.name === name);
}
