import { rowKey } from '../apply/window.ts';
import type { RowDifference } from './compare-digests.ts';
import type { OpenPair } from './connection-pair.ts';
import type { TablePair } from './table-pair.ts';

const ROWS_MAX = 100;
const COLUMNS_MAX = 20;

/**
 * The first of these differences with the values that differ. Read behind the comparison, one side after the other: what is
 * written meanwhile may show in it, which the verdict does not depend on.
 */
export async function withValues(
  pair: OpenPair,
  table: TablePair,
  differences: readonly RowDifference[],
): Promise<RowDifference[]> {
  const described = differences.slice(0, ROWS_MAX);
  if (described.length === 0) return [];
  const keys = described.map(({ key }) => key);
  const source = table.source.parseShown(await pair.source.rows(table.source.shownOf(keys)));
  const target = table.target.parseShown(await pair.target.rows(table.target.shownOf(keys)));
  const withTheirs = described.map((difference) => {
    const { key, kind, columns } = difference;
    const [left, right] = [source.get(rowKey(key)), target.get(rowKey(key))];
    const shown = (kind === 'different' ? columns : table.columns).slice(0, COLUMNS_MAX);
    const values = shown.map((column) => {
      const at = table.columns.indexOf(column);
      return { column, source: left?.[at] ?? null, target: right?.[at] ?? null };
    });
    return { ...difference, values };
  });
  return [...withTheirs, ...differences.slice(ROWS_MAX)];
}
