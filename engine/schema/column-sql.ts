import { quoteName, escapeBytes, type Bytes, type Value } from '../server/connection.ts';
import { doubleText, floatText } from '../stream/number-text.ts';
import { enumMembers, numbersMeanIndexes } from './enum-members.ts';
import { jsonLiteral } from './json-value.ts';
import type { Column, Table } from './table.ts';

/**
 * SQL for the values of a column. `column` is the column as the server describes it on which the SQL runs: its charset
 * is that server's own name, and a MariaDB UUID is a CHAR on MySQL. The connection's character set is binary, so the
 * server's lexer reads bytes: 0x5C inside a gbk or sjis character is escaped like any other backslash.
 */

/** What a SELECT has to ask for to get canonical values (see `RowImage`), but for `normalizer`. */
export function selectExpression(column: Column): Bytes {
  const name = quoteName(column.name);
  switch (column.dataType) {
    case 'float':
      // As text FLOAT has six digits only; as DOUBLE it has all of them. Times one, since plus zero loses the sign of -0.
      return `(${name}*1e0)`;
    case 'double':
      return isZerofill(column) ? `(${name}*1e0)` : name;
    case 'set':
      // A sum is signed: -1 where the 64th member is set.
      return `CAST(${name} AS UNSIGNED)`;
    case 'bit':
    case 'enum':
      return `(${name}+0)`;
    default:
      return isZerofill(column) ? `(${name}+0)` : name;
  }
}

/** What remains to be done with a value of `selectExpression`; null where it is canonical as it is. */
export function normalizer(column: Column): ((value: Bytes) => Bytes) | null {
  if (column.dataType === 'float') return (value) => floatText(Number(value));
  return column.dataType === 'double' ? (value) => doubleText(Number(value)) : null;
}

/**
 * Makes literals for assignment. They also compare equal, with the column's collation and through its indexes, but for
 * index 0 of an ENUM: there use `comparand`.
 */
export function literal(column: Column): (value: Value) => Bytes {
  const format = formatOf(column);
  // The bare number 0 draws warning 1265; the text, taken as an index where no member matches, does not (tried on 9.7).
  if (column.dataType === 'enum' && numbersMeanIndexes(column)) {
    return (value) => (value === null ? 'NULL' : value === '0' ? "'0'" : value);
  }
  return (value) => (value === null ? 'NULL' : format(value));
}

/**
 * Makes literals for `column = …`, and for `<` and `>` but where `isWideSet`. Servers compare a SET as a signed number: with
 * its 64th member it equals no unsigned one.
 */
export function comparand(column: Column): (value: Value) => Bytes {
  const format = isWideSet(column) ? (value: Bytes) => String(BigInt.asIntN(64, BigInt(value))) : formatOf(column);
  return (value) => (value === null ? 'NULL' : format(value));
}

function formatOf(column: Column): (value: Bytes) => Bytes {
  switch (column.dataType) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'bigint':
    case 'decimal':
    case 'year':
    case 'bit':
    case 'enum':
    case 'set':
      return (value) => value;
    case 'float':
      // The double that equals the stored float exactly: assigned it rounds to itself, compared it is equal.
      return (value) => approximate(doubleText(Math.fround(Number(value))));
    case 'double':
      return approximate;
    case 'date':
    case 'time':
    case 'datetime':
    case 'timestamp':
      return quoted('_utf8mb4');
    case 'json':
      return jsonLiteral;
    case 'char':
    case 'varchar':
    case 'tinytext':
    case 'text':
    case 'mediumtext':
    case 'longtext':
      return quoted(introducer(column.charset));
    case 'binary':
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
    case 'longblob':
    case 'vector':
      return quoted('_binary');
    default:
      return SPATIAL.has(column.dataType) ? quoted('_binary') : quoted('_utf8mb4');
  }
}

/**
 * MySQL 9 warns at the names utf8, utf8mb3 and ucs2. Their supersets hold the same bytes for the same characters, and
 * the server converts a constant to the column's charset, not the column to the constant's.
 */
function introducer(charset: string | null): Bytes {
  switch (charset) {
    case null:
      return '_binary';
    case 'utf8':
    case 'utf8mb3':
      return '_utf8mb4';
    case 'ucs2':
      return '_utf16';
    default:
      return `_${charset}`;
  }
}

/** Names in DATA_TYPE; a column that takes any shape is `geometry`, a collection `geomcollection` (MySQL 8 and later). */
export const SPATIAL: ReadonlySet<string> = new Set([
  'geometry',
  'point',
  'linestring',
  'polygon',
  'multipoint',
  'multilinestring',
  'multipolygon',
  'geometrycollection',
  'geomcollection',
]);

/** With an exponent it is a DOUBLE for the server; without one it would be a DECIMAL, compared and rounded as such. */
function approximate(value: Bytes): Bytes {
  return value.includes('e') || value.includes('E') ? value : `${value}e0`;
}

function quoted(introducer: Bytes): (value: Bytes) => Bytes {
  return (value) => `${introducer}'${escapeBytes(value)}'`;
}

export function isZerofill(column: Column): boolean {
  return /\bzerofill\b/i.test(column.columnType) && !/^(enum|set)\b/i.test(column.columnType);
}

/**
 * A SET of so many members that a DOUBLE does not tell its values apart. Its numbers compare as signed ones through an index,
 * and as DOUBLEs elsewhere, where 2^63 equals 2^63 + 1; only `CAST(… AS UNSIGNED)` compares exactly.
 */
export function isWideSet(column: Column): boolean {
  return column.dataType === 'set' && enumMembers(column).length > 53;
}

/** The columns that may be written: all but the generated ones. */
export function insertColumns(table: Table): Column[] {
  return table.columns.filter((column) => column.generated === null);
}
