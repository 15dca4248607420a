import { setImmediate } from 'node:timers/promises';
import type { Value } from '../server/connection.ts';
import { executedPosition } from '../server/position.ts';
import type { RowKey } from '../apply/window.ts';
import { difference, type RowDifference } from './compare-digests.ts';
import type { Flavors, OpenPair } from './connection-pair.ts';
import { withValues } from './differing-values.ts';
import type { Follower } from './follower.ts';
import { readBetween } from './source-read.ts';
import type { TablePair } from './table-pair.ts';
import { TouchedKeys } from './touched-keys.ts';

/** Keys in one statement. */
export const KEYS_MAX = 200;

export type Keys = ReadonlyMap<RowKey, Value[]>;

export interface RecheckContext {
  pair: OpenPair;
  table: TablePair;
  flavors: Flavors;
  follower: Follower;
  signal: AbortSignal;
}

export interface RecheckResult {
  /** Real ones. */
  differences: RowDifference[];
  /** To be looked at again: they differ, and replication was writing them. */
  unsure: Map<RowKey, Value[]>;
}

/**
 * Looks at single keys while writes go on, without locks.
 *
 * A key is taken for equal when one snapshot of the source and a later one of the target show the same row (or none). That
 * cannot hide a divergence: replication writes full images, so a row that was written between the two is right by that,
 * and one that was not is compared as it is.
 *
 * A key is taken for different when the two differ and no window wrote it from before the source was read until after the
 * target was. Let A be what is applied when listening begins:
 *
 * 1. whoever committed on the target before that and was told of is in A, and whoever is told of later is heard;
 * 2. the source read shows all of A, and nothing outside of U (`readBetween`);
 * 3. the target is read when all of U is applied, and listening ends when a window whose commit it may have seen has been
 *    told of (`reported`).
 *
 * So if the key was not heard of, nothing after A has written it on the target, and hence nothing in U \ A has written it
 * on the source: both reads show it as it is at A. They differ, so the sides do.
 *
 * Without 2. a transaction that the stream delivers before it is visible on the source (or the other way round) would be
 * reported as a difference; without `reported` so would a commit whose answer is on its way.
 */
export async function recheckKeys(context: RecheckContext, keys: Keys): Promise<RecheckResult> {
  const result: RecheckResult = { differences: [], unsure: new Map() };
  for (const batch of keyBatches(keys, KEYS_MAX)) await recheckBatch(context, batch, result);
  return result;
}

async function recheckBatch(
  { pair, table, flavors, follower, signal }: RecheckContext,
  keys: Keys,
  result: RecheckResult,
): Promise<void> {
  using touched = new TouchedKeys(follower, table.name, (key) => keys.has(key));
  const from = await appliedNow(follower);
  const read =
    from === undefined
      ? null
      : await readBetween({
          connection: pair.source,
          flavor: flavors.source,
          from,
          sql: table.source.rowsOf(keys.values()),
          signal,
        });
  if (read === null) {
    for (const [key, values] of keys) result.unsure.set(key, values);
    await follower.waitFor(await executedPosition(pair.source, flavors.source), signal);
    return;
  }
  await follower.waitFor(read.until, signal);
  const target = table.target.parse(await pair.target.rows(table.target.rowsOf(keys.values())));
  await follower.reported(signal);
  const source = table.source.parse(read.rows);
  const differences: RowDifference[] = [];
  for (const [key, values] of keys) {
    const found = difference(table.columns, source.get(key), target.get(key));
    if (found === null) continue;
    if (touched.has(key)) result.unsure.set(key, values);
    else differences.push(found);
  }
  result.differences.push(...(await withValues(pair, table, differences)));
}

/** A follower may tell of a window and count it as applied in the same turn of the event loop, in this order. */
export async function appliedNow(follower: Follower) {
  await setImmediate();
  return follower.applied?.clone();
}

export function* keyBatches(keys: Keys, keysMax: number): Generator<Keys> {
  let batch = new Map<RowKey, Value[]>();
  for (const [key, values] of keys) {
    batch.set(key, values);
    if (batch.size < keysMax) continue;
    yield batch;
    batch = new Map();
  }
  if (batch.size > 0) yield batch;
}
