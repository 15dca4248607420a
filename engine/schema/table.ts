import type { Value } from '../server/connection.ts';

/**
 * A table as the server describes it, in the order of `information_schema.COLUMNS`, which is the order of a row image:
 * invisible and generated columns are in it (virtual ones too: MySQL logs them).
 */
export interface Column {
  name: string;
  /** `information_schema.COLUMNS.DATA_TYPE`, lower case. */
  dataType: string;
  /** `COLUMN_TYPE`, as in `bigint unsigned` or `enum('a','b')`. */
  columnType: string;
  /** Null for types without one. `binary` strings have null as well. */
  charset: string | null;
  collation: string | null;
  nullable: boolean;
  unsigned: boolean;
  generated: 'stored' | 'virtual' | null;
  /** Characters or bytes, for BINARY(n) padding. */
  length: number | null;
}

export interface TableKey {
  name: string;
  /** Indexes into `columns`. */
  columns: number[];
}

export interface UniqueKey extends TableKey {
  /** It is unique in exactly the values of `columns`: no part is a prefix, an expression or generated. */
  whole: boolean;
}

export interface Table {
  schema: string;
  name: string;
  columns: Column[];
  /** What addresses a row: the primary key, else a unique key without nullable columns; null: the table is refused. */
  key: TableKey | null;
  /** The other unique keys. */
  uniqueKeys: UniqueKey[];
  /** `SHOW CREATE TABLE`. */
  createSql: string;
  rowsEstimate: number;
  bytes: number;
  /** On the server that it is written on; known to streams alone. */
  partitioned?: boolean;
}

/** What InnoDB itself needs for a row: 5 bytes of header, 13 of transaction and rollback pointer, and a key. */
const ROW_BYTES_MIN = 19;

/**
 * Bytes of a row, on the average; null: not known. InnoDB counts rows as they come, and pages only when it makes statistics: those
 * of a table that was filled a moment ago, or with STATS_AUTO_RECALC=0, may be of when it was empty.
 */
export function rowBytes({ rowsEstimate, bytes }: Pick<Table, 'rowsEstimate' | 'bytes'>): number | null {
  const average = bytes / Math.max(1, rowsEstimate);
  return average < ROW_BYTES_MIN ? null : average;
}

/**
 * One value per column of the table, in canonical form; undefined for a column that the event does not have.
 *
 * Canonical form, the same from a row image and from a SELECT of `selectExpression(column)`: integers and decimals as
 * decimal text; FLOAT and DOUBLE as the shortest text that reads back to the same number; dates and times as the
 * server prints them (TIMESTAMP in UTC, fraction with as many digits as declared); strings, binary strings as their
 * stored bytes (BINARY(n) padded to n); BIT, ENUM, SET as an unsigned decimal (bits, index, mask); JSON as text that
 * parses to the identical document, with what JSON has no text for behind it (`json-value.ts`; a SELECT does not tell it);
 * GEOMETRY and VECTOR as the server's internal bytes; NULL as null.
 */
export type RowImage = (Value | undefined)[];
