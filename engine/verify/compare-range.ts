import type { RowKey } from '../apply/window.ts';
import type { KeyRange } from '../copy/key-range.ts';
import type { ServerConnection, Value } from '../server/connection.ts';
import { executedPosition } from '../server/position.ts';
import { parseFingerprint, sameFingerprint, withoutRows, type Fingerprint } from './fingerprint.ts';
import type { Keys, RecheckContext } from './recheck-keys.ts';
import type { TableSql } from './table-sql.ts';
import { TouchedKeys } from './touched-keys.ts';

/** Keys that were written meanwhile and are taken out of the comparison; with more, the range is listed. */
const TOUCHED_MAX = 200;

export interface RangeComparison {
  source: Fingerprint;
  target: Fingerprint;
  /** All rows of the range are equal, but for those of `suspects`, which are unknown. */
  equal: boolean;
  suspects: Map<RowKey, Value[]>;
}

/**
 * Fingerprints of a range, of one snapshot on each side. Under writes they seldom agree, since rows change between the
 * two. So the keys that replication wrote meanwhile are read from the same two snapshots and taken out: XOR lets one do
 * that. Where the rest agrees, it is equal, and only those keys have to be looked at again.
 */
export async function compareRange(
  { pair, table, flavors, follower, signal }: RecheckContext,
  range: KeyRange,
): Promise<RangeComparison> {
  using touched = new TouchedKeys(follower, table.name, (_, known) => known <= TOUCHED_MAX);
  await pair.source.write('START TRANSACTION READ ONLY');
  await pair.target.write('START TRANSACTION READ ONLY');
  const source = parseFingerprint(await pair.source.rows(table.source.fingerprint(range)));
  await follower.waitFor(await executedPosition(pair.source, flavors.source), signal);
  // The snapshot is that of the first SELECT, not of START TRANSACTION.
  const target = parseFingerprint(await pair.target.rows(table.target.fingerprint(range)));
  const result: RangeComparison = { source, target, equal: sameFingerprint(source, target), suspects: new Map() };
  if (!result.equal) {
    await follower.reported(signal);
    if (!touched.every && touched.keys.size > 0 && touched.keys.size <= TOUCHED_MAX) {
      const sourceRest = await takeOut(pair.source, table.source, range, source, touched.keys, result.suspects);
      const targetRest = await takeOut(pair.target, table.target, range, target, touched.keys, result.suspects);
      result.equal = sameFingerprint(sourceRest, targetRest);
    }
  }
  await pair.source.write('ROLLBACK');
  await pair.target.write('ROLLBACK');
  return result;
}

/** The fingerprint without the rows of `keys`, which become suspects. */
async function takeOut(
  connection: ServerConnection,
  sql: TableSql,
  range: KeyRange,
  fingerprint: Fingerprint,
  keys: Keys,
  suspects: Map<RowKey, Value[]>,
): Promise<Fingerprint> {
  const found = sql.parse(await connection.rows(sql.digestsOf(keys.values(), range)));
  const digests = [];
  for (const [key, row] of found) {
    // A row that merely equals one of the keys in the collation was not written, and stays in.
    if (!keys.has(key)) continue;
    digests.push(row.digest);
    suspects.set(key, row.key);
  }
  return withoutRows(fingerprint, digests);
}
