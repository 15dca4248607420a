import { AppError, assert } from '../../core/errors.ts';
import { keyColumns } from '../copy/key-range.ts';
import type { Column, Table } from '../schema/table.ts';
import { insertColumns } from '../schema/column-sql.ts';
import { columnForm } from './column-form.ts';
import type { Aggregate } from './fingerprint.ts';
import type { ComparedColumn } from './row-text.ts';
import { TableSql } from './table-sql.ts';

/** A table on both sides, with the SQL that compares it. */
export interface TablePair {
  name: string;
  source: TableSql;
  target: TableSql;
  /** As the source calls them, in the order of the digests of `TableSql.rowsOf`. */
  columns: string[];
}

export interface Aggregates {
  source: Aggregate;
  target: Aggregate;
}

/**
 * Pairs the columns that are stored, by name. Generated ones too: what they are computed from may be the same, and the session
 * that computed them not (a date of a TIMESTAMP is one of its time zone). Throws VERIFY_TABLES_DIFFER where the tables could
 * not hold the same rows.
 */
export function pairTables(source: Table, target: Table | undefined, aggregates: Aggregates): TablePair {
  if (target === undefined) throw differ(source, 'the other side does not have it');
  // All of them: the key may be a stored generated column.
  const targets = new Map(target.columns.map((column) => [column.name.toLowerCase(), column]));
  const counterpart = (column: Column): Column => {
    const found = targets.get(column.name.toLowerCase());
    if (found === undefined) throw differ(source, `the other side has no column ${column.name}`);
    return found;
  };
  const sources = source.columns.filter(({ generated }) => generated !== 'virtual');
  const extra = insertColumns(target).length - insertColumns(source).length;
  const pairs = sources.map((column) => ({ column, other: counterpart(column) }));
  if (extra !== 0) throw differ(source, `the other side has ${extra} columns more`);
  const compared = (side: 'column' | 'other'): ComparedColumn[] =>
    pairs.map((pair) => ({
      name: pair[side].name,
      form: columnForm(pair.column, pair.other),
      nullable: pair.column.nullable || pair.other.nullable,
    }));
  const sourceKey = keyColumns(source);
  const targetKey = sourceKey.map(counterpart);
  if (!sameKey(targetKey, keyColumns(target))) throw differ(source, 'the other side has another key');
  return {
    name: source.name,
    columns: pairs.map(({ column }) => column.name),
    source: new TableSql({
      side: 'source',
      table: source,
      key: sourceKey,
      columns: compared('column'),
      aggregate: aggregates.source,
    }),
    target: new TableSql({
      side: 'target',
      table: target,
      key: targetKey,
      columns: compared('other'),
      aggregate: aggregates.target,
    }),
  };
}

/** Names that differ in case are one, unless there are both. */
export function targetOf(name: string, targets: readonly Table[]): Table | undefined {
  return (
    targets.find((target) => target.name === name) ??
    targets.find((target) => target.name.toLowerCase() === name.toLowerCase())
  );
}

function sameKey(a: Column[], b: Column[]): boolean {
  assert(a.length > 0, 'a table that is verified has a key');
  return a.length === b.length && a.every((column, i) => column === b[i]);
}

function differ(table: Table, why: string): AppError {
  return new AppError('VERIFY_TABLES_DIFFER', `${table.schema}.${table.name}: ${why}`, {
    details: { table: table.name },
  });
}
