import type { StreamPosition } from '../../core/gtid.ts';

/**
 * Whether `position` has everything in `wanted` but for GTIDs that are withheld (`TransactionAssembler.withheld`): what is prepared (XA)
 * and neither committed nor rolled back nobody sees, and it may stay so for ever.
 */
export function coversBut(position: StreamPosition, wanted: StreamPosition, withheld: () => Iterable<string>): boolean {
  if (position.covers(wanted)) return true;
  const gtids = [...withheld()];
  if (gtids.length === 0) return false;
  const more = position.clone();
  for (const gtid of gtids) more.advance(gtid);
  return more.covers(wanted);
}
