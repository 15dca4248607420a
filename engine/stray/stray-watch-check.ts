import { otherSide } from '../../core/phase.ts';
import type { SwitchRefusal } from '../api.ts';
import { executedPosition } from '../server/position.ts';
import { countStrayWrites } from './stray-writes.ts';
import type { SwitchPlan, SwitchWorld } from '../switch/switch-world.ts';
import { refusal } from '../switch/refusal-table.ts';

/**
 * Before a switch back: stray writes are on the source already, so traffic that goes back finds them there, while the
 * target never had them. Counted after the watch has read all that the source has now.
 */
export async function checkStrayWrites(
  world: SwitchWorld,
  { kind, to }: SwitchPlan,
  refusals: SwitchRefusal[],
): Promise<void> {
  if (kind !== 'primaries' || to !== 'source') return;
  const { document } = world.record;
  await using source = await world.connect(to);
  const position = await executedPosition(source, document.sourceFacts.flavor);
  if (!(await world.streams.strayWatchReached(position, document.options.maxLagMs))) {
    const message =
      'the log of the source could not be read to its end: whether there are more stray writes is not known';
    refusals.push(refusal('STRAY_WATCH_BEHIND', message));
  }
  await using target = await world.connect(otherSide(to));
  const { unapplied } = await countStrayWrites(target, document.id);
  if (unapplied === 0) return;
  const message = `${unapplied} stray writes are on the source and not on the target: look at them with \`switchyard stray list ${document.id}\`, apply them, or force the switch and keep them on the source alone`;
  refusals.push(refusal('STRAY_WRITES_UNAPPLIED', message));
}
