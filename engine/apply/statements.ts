import { quoteName, type Bytes, type Value } from '../server/connection.ts';
import { comparand, insertColumns, literal } from '../schema/column-sql.ts';
import type { Column, Table } from '../schema/table.ts';
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
  /** One row in the condition of a DELETE; `deleteJoin` stands between two of them, `deleteSuffix` at the end. */
  deleteRow: (key: Value[]) => Bytes;
  deleteJoin: Bytes;
  deleteSuffix: Bytes;
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
    const { deletePrefix: prefix, deleteJoin: join, deleteSuffix: suffix } = sql;
    collect(deletes, { prefix, join, suffix }, deletions(sql, rows.values()));
    collect(writes, { prefix: sql.replacePrefix, join: ',', suffix: '' }, replacements(sql, rows.values()));
  }
  return [...deletes, ...writes];
}

function* deletions(sql: TableSql, rows: Iterable<FinalState>): Generator<Bytes> {
  for (const { key, image } of rows) {
    if (image === null) yield sql.deleteRow(key);
  }
}

function* replacements(sql: TableSql, rows: Iterable<FinalState>): Generator<Bytes> {
  for (const { image } of rows) {
    if (image !== null) yield `(${sql.written.map(({ index, write }) => write(image[index] ?? null)).join(',')})`;
  }
}

interface StatementShape {
  prefix: Bytes;
  join: Bytes;
  suffix: Bytes;
}

function collect(into: Bytes[], { prefix, join, suffix }: StatementShape, parts: Iterable<Bytes>): void {
  let statement = '';
  for (const part of parts) {
    statement = statement === '' ? prefix + part : `${statement}${join}${part}`;
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
    ...deletion(name, keyColumns),
  };
  cache.set(table, sql);
  return sql;
}

/**
 * A list of keys, but for keys of several columns with an ENUM or SET among them: MySQL (9.7) finds no row at all for
 * `(e,id) IN ((3,2),(1,1))`, without a warning, when the members are given by their number and there is more than one.
 */
function deletion(
  name: Bytes,
  key: Column[],
): Pick<TableSql, 'deletePrefix' | 'deleteRow' | 'deleteJoin' | 'deleteSuffix'> {
  const names = key.map((column) => quoteName(column.name));
  const writers = key.map((column) => comparand(column));
  const literals = (values: Value[]) => values.map((value, i) => writerAt(writers, i)(value));
  if (key.length > 1 && key.some(({ dataType }) => dataType === 'enum' || dataType === 'set')) {
    return {
      deletePrefix: `DELETE FROM ${name} WHERE `,
      deleteRow: (values) =>
        `(${literals(values)
          .map((literal, i) => `${names[i]}=${literal}`)
          .join(' AND ')})`,
      deleteJoin: ' OR ',
      deleteSuffix: '',
    };
  }
  return {
    deletePrefix: `DELETE FROM ${name} WHERE ${tuple(names)} IN (`,
    deleteRow: (values) => tuple(literals(values)),
    deleteJoin: ',',
    deleteSuffix: ')',
  };
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
