import type { StreamPosition } from '../core/gtid.ts';
import type { Anchor } from './stream/anchor.ts';

/**
 * Which transaction a stream has applied last, for whoever connects again and has to know that the origin still has it
 * (`AnchorCheck`). In memory alone: after a restart of the engine nothing is known.
 */
export class LastApplied {
  #applied: Anchor | undefined;
  #durable: Anchor | undefined;

  /** Moves `position` on by the GTIDs of transactions, of which the last has this stamp. */
  advance(position: StreamPosition, gtids: readonly string[], stamp: string | undefined): void {
    const last = gtids.at(-1);
    if (last === undefined) return;
    for (const gtid of gtids.slice(0, -1)) position.advance(gtid);
    this.#applied = stamp === undefined ? undefined : { gtid: last, stamp, before: position.clone() };
    position.advance(last);
  }

  /** All of it is in the progress row. */
  keep(): void {
    this.#durable = this.#applied;
  }

  /** Undefined where another one is the last in `position`. */
  in(position: StreamPosition): Anchor | undefined {
    if (this.#durable === undefined) return undefined;
    const { gtid, before } = this.#durable;
    const all = before.clone();
    all.advance(gtid);
    return all.toString() === position.toString() && hasPredecessor(this.#durable) ? this.#durable : undefined;
  }
}

/** MariaDB is asked for what follows the one before it in its domain; without that it would send all that it has. */
function hasPredecessor({ gtid, before }: Anchor): boolean {
  if (before.flavor === 'mysql') return true;
  const domain = gtid.slice(0, gtid.indexOf('-') + 1);
  return before
    .toString()
    .split(',')
    .some((other) => other.startsWith(domain));
}
