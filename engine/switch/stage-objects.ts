import { otherSide } from '../../core/phase.ts';
import { withObjects } from '../import-document.ts';
import { raiseAutoIncrement } from '../objects/auto-increment.ts';
import { missingEvents, stageEvents } from '../objects/active-objects.ts';
import { readActiveObjects } from '../objects/read-objects.ts';
import type { ServerConnection } from '../server/connection.ts';
import { asMeant } from './left-events.ts';
import { objectPlace, type SwitchPlan, type SwitchWorld } from './switch-world.ts';

/**
 * What can be done ahead of the pause for what is no row: the triggers and events of the old primary are noted, events
 * created on the new one without being enabled, its AUTO_INCREMENT counters raised.
 */
export async function stageObjects(
  world: SwitchWorld,
  side: SwitchPlan['to'],
  { from, to }: { from: ServerConnection; to: ServerConnection },
): Promise<void> {
  const { record } = world;
  const { database, tables } = record.document;
  const found = await readActiveObjects(objectPlace(record.document, from));
  const { eventsLeft, activeObjects: former } = record.document;
  const activeObjects = eventsLeft.includes(otherSide(side)) ? asMeant(found, former) : found;
  const place = objectPlace(record.document, to);
  const missing = await missingEvents(place, activeObjects);
  await record.update(({ created }) => ({
    activeObjects,
    ...(side === 'target' ? { created: withObjects(created, missing) } : {}),
  }));
  await stageEvents(place, missing);
  const { raised, denied } = await raiseAutoIncrement(from, to, database, tables);
  if (denied.length > 0)
    world.log(
      'warn',
      `AUTO_INCREMENT is not raised on the ${side}, since the Switchyard user lacks ALTER there, or a transaction holds the table: numbers of rows that are gone may be given out again`,
      { statements: denied },
    );
  const { triggers, events } = activeObjects;
  if (triggers.length + events.length + raised.length === 0) return;
  world.log('info', `${triggers.length} triggers and ${events.length} events come along; AUTO_INCREMENT raised`, {
    triggers: triggers.map(({ name }) => name),
    events: events.map(({ name }) => name),
    raised,
  });
}
