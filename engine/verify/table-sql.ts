import { keyColumns, rangePredicate, tableByKey, type KeyRange } from '../copy/key-range.ts';
import { comparand, normalizer, selectExpression } from '../schema/column-sql.ts';
import type { Column, Table } from '../schema/table.ts';
import { quoteName, type Bytes, type Value } from '../server/connection.ts';
import { rowKey, type RowKey } from '../apply/window.ts';
import { AppError } from '../../core/errors.ts';
import { digestSql, fingerprintSql, type Aggregate } from './fingerprint.ts';
import { shownExpression, shownValue } from './key-text.ts';
import { columnText, rowText, type ComparedColumn } from './row-text.ts';

/** A row as it is compared: never its values, which may be large, but for the key. */
export interface RowDigest {
  key: Value[];
  digest: Bytes;
  /** One for each compared column; empty where they were not asked for. */
  columns: Bytes[];
}

export interface TableSqlOptions {
  side: 'source' | 'target';
  table: Table;
  /** The key's columns in the source's order. */
  key: Column[];
  columns: ComparedColumn[];
  aggregate: Aggregate;
}

/** Reads of one table on one side. None locks anything: plain SELECTs read a snapshot. */
export class TableSql {
  readonly table: Table;
  readonly #key: Column[];
  readonly #from: Bytes;
  readonly #fingerprint: (where: Bytes) => Bytes;
  readonly #digests: Bytes;
  readonly #columnDigests: Bytes;
  readonly #shown: Column[];
  readonly #normalize: ((value: Value) => Value)[];

  constructor({ side, table, key, columns, aggregate }: TableSqlOptions) {
    this.table = table;
    this.#key = key;
    this.#from = ` FROM ${tableByKey(table)}`;
    const text = rowText(columns);
    const names = keyColumns(table).map(({ name }) => quoteName(name));
    const instead = `CONCAT_WS('/',CAST('unreadable on the ${side}' AS BINARY),${names.join(',')})`;
    this.#fingerprint = (where) => fingerprintSql(aggregate, text, instead, this.#from + where);
    this.#digests = `SELECT ${[...key.map(selectExpression), digestSql(text)].join(',')}`;
    this.#shown = columns.flatMap(({ name }) => table.columns.find((column) => column.name === name) ?? []);
    this.#columnDigests = columns.map((column) => `,${digestSql(columnText(column))}`).join('');
    this.#normalize = key.map((column) => {
      const normalize = normalizer(column);
      return (value) => (value === null || normalize === null ? value : normalize(value));
    });
  }

  fingerprint(range: KeyRange): Bytes {
    return this.#fingerprint(rangePredicate(this.#key, range));
  }

  digests(range: KeyRange): Bytes {
    return this.#digests + this.#from + rangePredicate(this.#key, range);
  }

  /** The key of the row at `offset` in a range. */
  keyAt(range: KeyRange, offset: number): Bytes {
    const order = this.#key.map(({ name }) => quoteName(name)).join(',');
    return `SELECT ${this.#key.map(selectExpression).join(',')}${this.#from}${rangePredicate(this.#key, range)} ORDER BY ${order} LIMIT 1 OFFSET ${offset}`;
  }

  parseKey([row]: Value[][]): Bytes[] | undefined {
    return row === undefined ? undefined : this.#keyOf(row).map((value) => value ?? '');
  }

  /** Rows whose key equals one of `keys` in the column's collation, with a digest for each column. */
  rowsOf(keys: Iterable<readonly Value[]>): Bytes {
    return `${this.#digests}${this.#columnDigests}${this.#from} WHERE ${this.oneOf(keys)}`;
  }

  /** Those of them that are in a range, without the digests of columns. */
  digestsOf(keys: Iterable<readonly Value[]>, range: KeyRange): Bytes {
    const where = rangePredicate(this.#key, range);
    return `${this.#digests}${this.#from}${where === '' ? ' WHERE' : `${where} AND`} (${this.oneOf(keys)})`;
  }

  /** The same rows, their values for people in the order of the compared columns. */
  shownOf(keys: Iterable<readonly Value[]>): Bytes {
    const list = [...this.#key.map(selectExpression), ...this.#shown.map(shownExpression)];
    return `SELECT ${list.join(',')}${this.#from} WHERE ${this.oneOf(keys)}`;
  }

  parseShown(rows: Value[][]): Map<RowKey, string[]> {
    return new Map(
      rows.map((row) => {
        const key = this.#keyOf(row);
        return [rowKey(key), this.#shown.map((column, i) => shownValue(column, row[key.length + i] ?? null))];
      }),
    );
  }

  /** By key bytes. Throws VERIFY_ROW_UNREADABLE for a row that has no text. */
  parse(rows: Value[][]): Map<RowKey, RowDigest> {
    const parsed = new Map<RowKey, RowDigest>();
    for (const row of rows) {
      const key = this.#keyOf(row);
      const [digest, ...columns] = row.slice(key.length);
      if (digest == null || columns.includes(null)) throw this.#unreadable(key);
      parsed.set(rowKey(key), { key, digest, columns: columns.map((column) => column ?? '') });
    }
    return parsed;
  }

  /** The condition for rows whose key equals one of `keys` in the column's collation. */
  oneOf(keys: Iterable<readonly Value[]>): Bytes {
    const equal = (column: Column, value: Value) => `${quoteName(column.name)}=${comparand(column)(value)}`;
    return [...keys]
      .map((values) => `(${this.#key.map((column, i) => equal(column, values[i] ?? null)).join(' AND ')})`)
      .join(' OR ');
  }

  #keyOf(row: Value[]): Value[] {
    return this.#normalize.map((normalize, i) => normalize(row[i] ?? null));
  }

  #unreadable(key: Value[]): AppError {
    const { schema, name } = this.table;
    return new AppError('VERIFY_ROW_UNREADABLE', `the server made no text of a row of ${schema}.${name}`, {
      details: { table: name, key: rowKey(key).slice(0, 200) },
    });
  }
}
