import type { Column, TableKey } from './table.ts';

export interface IndexDescription {
  name: string;
  unique: boolean;
  /** Ordinals of the parts that are plain columns. */
  columns: number[];
  /** No part is a prefix or an expression. */
  whole: boolean;
  /** The optimizer may use it (not INVISIBLE, not IGNORED). */
  used: boolean;
}

const INTEGERS = new Set(['tinyint', 'smallint', 'mediumint', 'int', 'bigint']);

/**
 * What addresses a row: the primary key, else the best unique key of whole columns that are NOT NULL: one that the
 * optimizer uses before one that it does not, integers before others, few columns before many, then by name so that
 * every reading of the same table gives the same answer.
 */
export function chooseKey(indexes: IndexDescription[], columns: Column[]): TableKey | null {
  const usable = indexes.filter(
    (index) =>
      index.unique &&
      index.whole &&
      index.columns.length > 0 &&
      index.columns.every(
        (ordinal) => columns[ordinal]?.nullable === false && columns[ordinal].generated !== 'virtual',
      ),
  );
  const primary = usable.find(({ name }) => name === 'PRIMARY');
  const best = primary ?? usable.sort((a, b) => cost(a, columns) - cost(b, columns) || compareText(a.name, b.name))[0];
  return best === undefined ? null : { name: best.name, columns: best.columns };
}

function cost(index: IndexDescription, columns: Column[]): number {
  const others = index.columns.filter((ordinal) => !INTEGERS.has(columns[ordinal]?.dataType ?? '')).length;
  return (index.used ? 0 : 10_000) + others * 100 + index.columns.length;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
