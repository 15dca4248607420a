import { assert } from '../../core/errors.ts';
import { comparand, insertColumns, isWideSet, literal } from '../schema/column-sql.ts';
import type { Column, Table } from '../schema/table.ts';
import { escapeBytes, quoteName, type Bytes, type Value } from '../server/connection.ts';
import type { FinalState } from './window.ts';

/** What never changes for one table: names and literal writers, made once. */
export interface TableSql {
  /**
   * Rows are told apart by the key alone, and the key by its bytes: no other unique key, no collation. Then writing a row
   * can never remove another one, and rows of different keys can be written in any order, also side by side.
   */
  readonly isPlain: boolean;
  /**
   * A condition may name one row only. Partitions by KEY hash text, and for some texts that are equal by collation (with a no-break space
   * at the end, in the UCA collations that pad) the hash differs. Of several such texts the optimizer (MySQL 9.7) asks for the
   * partition of one, and misses the rows of the others without a word.
   */
  readonly isScattered: boolean;
  readonly name: Bytes;
  readonly deletePrefix: Bytes;
  /** Of the columns that are written. */
  readonly columnList: Bytes;
  /** The values of a row that is there, in parentheses. */
  readonly row: (state: FinalState) => Bytes;
  /** A condition for exactly the rows of these keys, byte for byte. */
  readonly whereKeys: (states: readonly FinalState[]) => Bytes;
  /** Changes nothing, and counts what it finds. */
  readonly lookUpPrefix: Bytes;
}

const cache = new WeakMap<Table, TableSql>();

export function tableSql(table: Table): TableSql {
  const known = cache.get(table);
  if (known !== undefined) return known;
  const made = makeTableSql(table);
  cache.set(table, made);
  return made;
}

function makeTableSql(table: Table): TableSql {
  assert(table.key !== null, 'a table without a key is never applied');
  const name = `${quoteName(table.schema)}.${quoteName(table.name)}`;
  const keyColumns = table.key.columns.map((index) => columnAt(table, index));
  const columns = insertColumns(table).map((column) => ({
    index: table.columns.indexOf(column),
    write: literal(column),
  }));
  // Without it the server may read all of a small table, and wait for rows that another lane writes.
  const force = table.key.name === 'PRIMARY' ? ' FORCE INDEX (PRIMARY)' : '';
  // Of the key where that can be written: it is read anyway. A key over a generated column is not.
  const lookedUp = keyColumns.find(({ generated }) => generated === null) ?? insertColumns(table)[0];
  const lookedUpName = quoteName(lookedUp?.name ?? '');
  return {
    isPlain: table.uniqueKeys.length === 0 && keyColumns.every(isComparedByBytes),
    isScattered: table.partitioned === true && keyColumns.some(isCollated),
    name,
    deletePrefix: `DELETE ${name} FROM ${name}${force} WHERE `,
    columnList: columns.map(({ index }) => quoteName(columnAt(table, index).name)).join(','),
    row: ({ image }) => {
      assert(image !== null, 'a row that is gone has no values');
      let values = '';
      for (const { index, write } of columns) values += `${values === '' ? '(' : ','}${write(image[index] ?? null)}`;
      return `${values})`;
    },
    whereKeys: (states) =>
      whereValues(
        keyColumns,
        states.map(({ key }) => key),
        'bytes',
      ),
    lookUpPrefix: `UPDATE ${name}${force} SET ${lookedUpName}=${lookedUpName} WHERE `,
  };
}

/**
 * A condition for the rows that have one of these lists of values in `columns`, through an index over them. By `bytes`
 * also means through that index, and leaves out what is equal by collation alone.
 *
 * A list of rows, but for several columns with an ENUM or SET among them: MySQL (9.7) finds no row at all for
 * `(e,id) IN ((3,2),(1,1))`, without a warning, when the members are given by their number and there is more than one.
 */
export function whereValues(columns: readonly Column[], lists: readonly Value[][], by: 'collation' | 'bytes'): Bytes {
  const names = columns.map(({ name }) => quoteName(name));
  const writers = columns.map((column) => comparand(column));
  const isExact = (column: Column) => isWideSet(column) || (by === 'bytes' && isCollated(column));
  const isText = columns.some(isExact);
  const byteNames = columns.map((column, i) => (isExact(column) ? exactName(column) : (names[i] ?? '')));
  const byteWriters = columns.map((column) => (isExact(column) ? exactWriter(column) : comparand(column)));
  if (columns.length > 1 && columns.some(({ dataType }) => dataType === 'enum' || dataType === 'set')) {
    const one = (values: Value[]) =>
      [...equalities(names, writers, values), ...(isText ? equalities(byteNames, byteWriters, values) : [])].join(
        ' AND ',
      );
    return `(${lists.map((values) => `(${one(values)})`).join(' OR ')})`;
  }
  const inList = (left: Bytes[], literals: Writer[]) =>
    `${tuple(left)} IN (${lists.map((values) => tuple(written(literals, values))).join(',')})`;
  return isText ? `${inList(names, writers)} AND ${inList(byteNames, byteWriters)}` : inList(names, writers);
}

type Writer = (value: Value) => Bytes;

function equalities(names: readonly Bytes[], writers: readonly Writer[], values: readonly Value[]): Bytes[] {
  return written(writers, values).map((literal, i) => `${names[i]}=${literal}`);
}

function written(writers: readonly Writer[], values: readonly Value[]): Bytes[] {
  return writers.map((write, i) => write(values[i] ?? null));
}

/**
 * A column in ascii may be MariaDB's UUID or INET on the other side, whose bytes are not its text: CONCAT makes text of it.
 */
function exactName(column: Column): Bytes {
  const name = quoteName(column.name);
  if (isWideSet(column)) return `CAST(${name} AS UNSIGNED)`;
  return `CAST(${column.charset === 'ascii' ? `CONCAT(${name})` : name} AS BINARY)`;
}

function exactWriter(column: Column): Writer {
  return isWideSet(column) ? (value) => value ?? 'NULL' : bytesLiteral;
}

/** Text is equal by collation; ENUM and SET are numbers here. */
export function isCollated({ charset, dataType }: Column): boolean {
  return charset !== null && dataType !== 'enum' && dataType !== 'set';
}

/** FLOAT and DOUBLE have two zeros, which are equal. */
export function isComparedByBytes(column: Column): boolean {
  return !isCollated(column) && column.dataType !== 'float' && column.dataType !== 'double';
}

function bytesLiteral(value: Value): Bytes {
  return value === null ? 'NULL' : `_binary'${escapeBytes(value)}'`;
}

function columnAt(table: Table, index: number): Column {
  const column = table.columns[index];
  assert(column !== undefined, `column ${index} of ${table.name}`);
  return column;
}

function tuple(parts: readonly Bytes[]): Bytes {
  return parts.length === 1 ? (parts[0] ?? '') : `(${parts.join(',')})`;
}
