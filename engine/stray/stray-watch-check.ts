import type { SwitchRefusal } from '../api.ts';
import { executedPosition } from '../server/position.ts';
import { countStrayWrites } from './stray-writes.ts';
import type { SwitchWorld } from '../switch/switch-world.ts';
import { refusal } from '../switch/refusal-table.ts';

/** Before a switch back: the watch has read all that the source has now. */
export async function checkStrayWatch(world: SwitchWorld, refusals: SwitchRefusal[]): Promise<void> {
  const { document } = world.record;
  await using source = await world.connect('source');
  const position = await executedPosition(source, document.sourceFacts.flavor);
  if (!(await world.streams.strayWatchReached(position, document.options.maxLagMs))) {
    const message =
      'the log of the source could not be read to its end: whether there are more stray writes is not known';
    refusals.push(refusal('STRAY_WATCH_BEHIND', message));
  }
}

/**
 * Behind that: stray writes are on the source already, so traffic that goes back finds them there, while the target never
 * had them.
 */
export async function checkStrayWrites(world: SwitchWorld, refusals: SwitchRefusal[]): Promise<void> {
  const { document } = world.record;
  await using target = await world.connect('target');
  const { unapplied } = await countStrayWrites(target, document.id);
  if (unapplied === 0) return;
  const message = `${unapplied} stray writes are on the source and not on the target: look at them with \`switchyard stray list ${document.id}\`, apply them, or force the switch and keep them on the source alone`;
  refusals.push(refusal('STRAY_WRITES_UNAPPLIED', message));
}
