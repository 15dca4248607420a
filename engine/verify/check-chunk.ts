import type { KeyRange } from '../copy/key-range.ts';
import type { RowKey } from '../apply/window.ts';
import type { Value } from '../server/connection.ts';
import { executedPosition } from '../server/position.ts';
import { differingKeys } from './compare-digests.ts';
import { compareRange } from './compare-range.ts';
import type { RecheckContext } from './recheck-keys.ts';

/** Rows whose digests are fetched at once; above it a range is cut again. */
const LISTED_ROWS_MAX = 50_000;

export interface ChunkResult {
  /** On the source. */
  rows: number;
  /** Keys that differed when looked at: to be looked at alone, with `recheckKeys`. */
  suspects: Map<RowKey, Value[]>;
}

/**
 * Compares a range of keys: fingerprints first; where they differ for more than what was written meanwhile, the digests
 * of its rows.
 *
 * Every row of either side is in a range of the table, also where the two servers sort differently: each range is taken
 * whole on each side, and the ranges cover all keys of any order. Then a row may be in another range on the other side;
 * it becomes a suspect, and is found by its key.
 */
export async function checkChunk(context: RecheckContext, range: KeyRange): Promise<ChunkResult> {
  const { source, target, equal, suspects } = await compareRange(context, range);
  if (!equal) await collectSuspects(context, range, Math.max(source.rows, target.rows), suspects);
  return { rows: source.rows, suspects };
}

async function collectSuspects(
  context: RecheckContext,
  range: KeyRange,
  rows: number,
  suspects: Map<RowKey, Value[]>,
): Promise<void> {
  const parts = rows > LISTED_ROWS_MAX ? await halves(context, range, rows) : [];
  for (const part of parts) {
    const { source, target, equal, suspects: touched } = await compareRange(context, part);
    for (const [key, values] of touched) suspects.set(key, values);
    const partRows = Math.max(source.rows, target.rows);
    // A part that is not smaller (the sides sort differently) is listed, rather than cut for ever.
    if (!equal) await collectSuspects(context, part, partRows < rows ? partRows : 0, suspects);
  }
  if (parts.length > 0) return;
  const { pair, table, flavors, follower, signal } = context;
  const source = table.source.parse(await pair.source.rows(table.source.digests(range)));
  await follower.waitFor(await executedPosition(pair.source, flavors.source), signal);
  const target = table.target.parse(await pair.target.rows(table.target.digests(range)));
  for (const [key, values] of differingKeys(source, target)) suspects.set(key, values);
}

/** Cut at the middle row of the side that has more; nothing where that row is gone. */
async function halves({ pair, table }: RecheckContext, { lower, upper }: KeyRange, rows: number): Promise<KeyRange[]> {
  const offset = Math.floor(rows / 2);
  const middle =
    table.source.parseKey(await pair.source.rows(table.source.keyAt({ lower, upper }, offset))) ??
    table.target.parseKey(await pair.target.rows(table.target.keyAt({ lower, upper }, offset)));
  return middle === undefined
    ? []
    : [
        { lower, upper: middle },
        { lower: middle, upper },
      ];
}
