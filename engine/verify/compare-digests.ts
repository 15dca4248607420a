import type { RowKey } from '../apply/window.ts';
import type { Value } from '../server/connection.ts';
import type { RowDigest } from './table-sql.ts';

export type Digests = ReadonlyMap<RowKey, RowDigest>;

/** Keys that are on one side only, or with another digest on the other. */
export function differingKeys(source: Digests, target: Digests): Map<RowKey, Value[]> {
  const keys = new Map<RowKey, Value[]>();
  for (const [key, row] of source) {
    if (target.get(key)?.digest !== row.digest) keys.set(key, row.key);
  }
  for (const [key, row] of target) {
    if (!source.has(key)) keys.set(key, row.key);
  }
  return keys;
}

export type DifferenceKind = 'missing' | 'extra' | 'different';

export interface RowDifference {
  key: Value[];
  kind: DifferenceKind;
  /** Names of the columns whose values differ; empty for rows on one side only. */
  columns: string[];
  /** Of these columns, or of all of a row that is on one side only; for people. Empty where nobody looked. */
  values: DifferingValue[];
}

export interface DifferingValue {
  column: string;
  /** Cut; null: the row is not there. */
  source: string | null;
  target: string | null;
}

/** Of a comparison with the sides exchanged, as the import calls them. */
export function mirroredDifference({ kind, values, ...difference }: RowDifference): RowDifference {
  const mirrored = { missing: 'extra', extra: 'missing', different: 'different' } as const;
  return {
    ...difference,
    kind: mirrored[kind],
    values: values.map(({ column, source, target }) => ({ column, source: target, target: source })),
  };
}

/** What is wrong with one key; null where both sides have the same row, or none. */
export function difference(
  columns: readonly string[],
  source: RowDigest | undefined,
  target: RowDigest | undefined,
): RowDifference | null {
  if (source === undefined)
    return target === undefined ? null : { key: target.key, kind: 'extra', columns: [], values: [] };
  if (target === undefined) return { key: source.key, kind: 'missing', columns: [], values: [] };
  if (source.digest === target.digest) return null;
  return {
    key: source.key,
    kind: 'different',
    columns: columns.filter((_, i) => source.columns[i] !== target.columns[i]),
    values: [],
  };
}
