import type { Table } from '../schema/table.ts';
import type { TableShare } from './table-statements.ts';
import { tableSql } from './table-sql.ts';
import type { ApplyWindow, FinalState } from './window.ts';

/** Fewer rows of a table than this are not split. */
const SPLIT_ROWS_MIN = 500;

/** The rows of a window by table, those of a table in the order of their key: neighbours are on the same pages. */
export function sharesOf(window: ApplyWindow): TableShare[] {
  return Array.from(window.tables.values(), ({ table, rows }) => ({
    table,
    states: sorted(table, [...rows.values()]),
  }));
}

/**
 * Divides rows among lanes that write side by side and commit together. A lane may hold no lock that another one waits
 * for, since none commits before all have written. So a table is split only where rows of different keys have nothing to
 * do with each other: no other unique key, no collation, and a primary key, by which each statement finds its rows
 * without reading others (READ COMMITTED: no locks on gaps). The other tables go to one lane each, whole.
 */
export function splitShares(shares: readonly TableShare[], lanes: number): TableShare[][] {
  const total = shares.reduce((sum, { states }) => sum + states.length, 0);
  const pieces = shares.flatMap((share) => piecesOf(share, Math.ceil(total / lanes)));
  const result = Array.from({ length: lanes }, () => ({ rows: 0, shares: [] as TableShare[] }));
  for (const piece of pieces.toSorted((a, b) => b.states.length - a.states.length)) {
    const least = result.reduce((smallest, lane) => (lane.rows < smallest.rows ? lane : smallest));
    least.shares.push(piece);
    least.rows += piece.states.length;
  }
  return result.map((lane) => lane.shares);
}

function piecesOf(share: TableShare, rows: number): TableShare[] {
  const { table, states } = share;
  const isDivisible = tableSql(table).isPlain && table.key?.name === 'PRIMARY';
  if (!isDivisible || states.length <= Math.max(rows, SPLIT_ROWS_MIN)) return [share];
  const count = Math.ceil(states.length / Math.max(rows, SPLIT_ROWS_MIN));
  const size = Math.ceil(states.length / count);
  return Array.from({ length: count }, (_, index) => ({
    table,
    states: states.slice(index * size, (index + 1) * size),
  }));
}

function sorted(table: Table, states: FinalState[]): FinalState[] {
  const isNumber = table.columns[table.key?.columns[0] ?? -1]?.dataType.endsWith('int') === true;
  // Any order is right; numbers beyond 2^53 merely lose their neighbours.
  if (isNumber) return states.sort((a, b) => Number(a.key[0]) - Number(b.key[0]));
  return states.sort((a, b) => compare(a.key[0] ?? '', b.key[0] ?? ''));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
