import { parsePosition, type Flavor, type StreamPosition } from '../../core/gtid.ts';
import { MysqlGtidSet } from '../../core/gtid-mysql.ts';
import type { Anchor } from '../stream/anchor.ts';

/**
 * Which transaction a stream has applied last, for whoever reads on behind it and has to know that the origin still has it
 * (`AnchorCheck`). It is durable with the position.
 */
export interface LastApplied {
  gtid: string;
  /** See `stampIn`. */
  stamp: string;
  /** MariaDB: the position before it, which cannot be had from the one behind it. */
  before?: string | undefined;
}

/** Of transactions that follow `position`, of which the last has this stamp; undefined where it is not to be looked at again. */
export function lastOf(
  position: StreamPosition,
  gtids: readonly string[],
  stamp: string | undefined,
): LastApplied | undefined {
  const gtid = gtids.at(-1);
  if (gtid === undefined || stamp === undefined) return undefined;
  if (position.flavor === 'mysql') return { gtid, stamp };
  const before = position.clone();
  for (const earlier of gtids.slice(0, -1)) before.advance(earlier);
  return { gtid, stamp, before: before.toString() };
}

/** Undefined where `position` is another one's, or nothing can be read from before the transaction. */
export function anchorOf(flavor: Flavor, position: StreamPosition, last: LastApplied | undefined): Anchor | undefined {
  if (last === undefined) return undefined;
  const { gtid, stamp } = last;
  const before = beforeOf(flavor, position, last);
  if (before === undefined) return undefined;
  const all = before.clone();
  all.advance(gtid);
  return all.toString() === position.toString() && hasPredecessor(gtid, before) ? { gtid, stamp, before } : undefined;
}

function beforeOf(flavor: Flavor, position: StreamPosition, { gtid, before }: LastApplied): StreamPosition | undefined {
  if (position instanceof MysqlGtidSet) return position.subtract(MysqlGtidSet.parse(gtid));
  return before === undefined ? undefined : parsePosition(flavor, before);
}

/** MariaDB is asked for what follows the one before it in its domain; without that it would send all that it has. */
function hasPredecessor(gtid: string, before: StreamPosition): boolean {
  if (before.flavor === 'mysql') return true;
  const domain = gtid.slice(0, gtid.indexOf('-') + 1);
  return before
    .toString()
    .split(',')
    .some((other) => other.startsWith(domain));
}
