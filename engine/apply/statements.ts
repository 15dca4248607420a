import { quoteName, type Bytes, type Value } from '../server/connection.ts';
import { comparand, insertColumns, literal } from '../schema/column-sql.ts';
import type { Table } from '../schema/table.ts';
import type { FinalState, TableWindow } from './window.ts';
import { assert } from '../../core/errors.ts';

/** A statement is ended when it grows past this; max_allowed_packet is 64 MiB by default, 16 MiB on MariaDB. */
const STATEMENT_BYTES_MAX = 1024 * 1024;

/** What never changes for one table: names and literal writers, made once. */
interface TableSql {
  name: Bytes;
  replacePrefix: Bytes;
  written: { index: number; write: (value: Value) => Bytes }[];
  deletePrefix: Bytes;
  key: ((value: Value) => Bytes)[];
}

const cache = new WeakMap<Table, TableSql>();

/**
 * The deletions of a window, then its writes. REPLACE with full images: an image that takes over another row's value in
 * a secondary unique key removes that stale row, which has its own final state in this window, or later in the stream
 * while the copy is being caught up with.
 */
export function windowStatements(windows: Iterable<TableWindow>): Bytes[] {
  const deletes: Bytes[] = [];
  const writes: Bytes[] = [];
  for (const { table, rows } of windows) {
    const sql = tableSql(table);
    collect(deletes, sql.deletePrefix, ')', deletions(sql, rows.values()));
    collect(writes, sql.replacePrefix, '', replacements(sql, rows.values()));
  }
  return [...deletes, ...writes];
}

function* deletions(sql: TableSql, rows: Iterable<FinalState>): Generator<Bytes> {
  for (const { key, image } of rows) {
    if (image === null) yield tuple(key.map((value, i) => writerAt(sql.key, i)(value)));
  }
}

function* replacements(sql: TableSql, rows: Iterable<FinalState>): Generator<Bytes> {
  for (const { image } of rows) {
    if (image !== null) yield `(${sql.written.map(({ index, write }) => write(image[index] ?? null)).join(',')})`;
  }
}

function collect(into: Bytes[], prefix: Bytes, suffix: Bytes, parts: Iterable<Bytes>): void {
  let statement = '';
  for (const part of parts) {
    statement = statement === '' ? prefix + part : `${statement},${part}`;
    if (statement.length > STATEMENT_BYTES_MAX) {
      into.push(statement + suffix);
      statement = '';
    }
  }
  if (statement !== '') into.push(statement + suffix);
}

function tableSql(table: Table): TableSql {
  const known = cache.get(table);
  if (known !== undefined) return known;
  assert(table.key !== null, 'a table without a key is never applied');
  const name = `${quoteName(table.schema)}.${quoteName(table.name)}`;
  const keyColumns = table.key.columns.map((index) => columnAt(table, index));
  const written = insertColumns(table).map((column) => ({
    index: table.columns.indexOf(column),
    write: literal(column),
  }));
  const names = written.map(({ index }) => quoteName(columnAt(table, index).name)).join(',');
  const sql: TableSql = {
    name,
    replacePrefix: `REPLACE INTO ${name} (${names}) VALUES `,
    written,
    deletePrefix: `DELETE FROM ${name} WHERE ${tuple(keyColumns.map((column) => quoteName(column.name)))} IN (`,
    key: keyColumns.map((column) => comparand(column)),
  };
  cache.set(table, sql);
  return sql;
}

function columnAt(table: Table, index: number) {
  const column = table.columns[index];
  assert(column !== undefined, `column ${index} of ${table.name}`);
  return column;
}

function writerAt(writers: ((value: Value) => Bytes)[], index: number): (value: Value) => Bytes {
  const writer = writers[index];
  assert(writer !== undefined, `key part ${index}`);
  return writer;
}

function tuple(parts: Bytes[]): Bytes {
  return parts.length === 1 ? (parts[0] ?? '') : `(${parts.join(',')})`;
}
