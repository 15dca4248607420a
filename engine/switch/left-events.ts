import type { Side } from '../../core/phase.ts';
import { disableEvents, enableEvents } from '../objects/active-objects.ts';
import type { ActiveObjects } from '../objects/stored-object.ts';
import { objectPlace, type SwitchWorld } from './switch-world.ts';

type LeftEventsWorld = Pick<SwitchWorld, 'record' | 'route' | 'connect' | 'log'>;

/**
 * What a switch could not do to events, since their server did not answer: those of the primary run, those of the other side do not. Where it is
 * left undone they run on neither side, and nobody is told of a job that does not run. Rejects with what keeps it from that.
 */
export async function moveLeftEvents({ record, route, connect, log }: LeftEventsWorld, side: Side): Promise<void> {
  const { id, activeObjects, eventsLeft } = record.document;
  if (!eventsLeft.includes(side)) return;
  const { primary } = await route.of(id);
  await using connection = await connect(side);
  const move = side === primary ? enableEvents : disableEvents;
  await move(objectPlace(record.document, connection), activeObjects);
  await record.update((document) => ({ eventsLeft: document.eventsLeft.filter((other) => other !== side) }));
  log('info', `events are ${side === primary ? 'enabled' : 'disabled'} on the ${side}, which the switch could not do`);
}

/** As the old primary has them, but for what has not been done to them: that is no wish of whoever runs the database. */
export function asMeant(found: ActiveObjects, former: ActiveObjects): ActiveObjects {
  const events = found.events.map((event) => {
    const meant = former.events.find(({ name }) => name === event.name);
    return { ...event, enabled: event.enabled || meant?.enabled === true };
  });
  return { ...found, events };
}
