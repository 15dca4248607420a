import { AppError } from '../../core/errors.ts';
import { isZerofill, SPATIAL } from '../schema/column-sql.ts';
import type { Column } from '../schema/table.ts';

/**
 * How the value of a column is written into the text of a row, chosen once for both sides, so that both write the same
 * bytes for the same value and different bytes for any other:
 *
 * - `plain`: the server's own text of numbers, dates and times, which never holds a comma; that of a DOUBLE column reads
 *   back to the same DOUBLE (but that of an expression on it does not: it is cut to 22 characters);
 * - `number`: the same without the zeros of ZEROFILL; `unsigned`: BIT, and ENUM or SET by index and mask;
 * - `float`: FLOAT times 2^149, see `rowText`;
 * - `bytes`, `long_bytes`: the stored bytes; `text`, `long_text`: the characters as utf8mb4, where the charsets of both
 *   sides store them differently; `members`: an ENUM or SET whose definitions differ, by its text;
 * - `json`: MySQL's normalised text, in which equal documents are equal, and whether JSON text can hold the document.
 */
export type ColumnForm =
  | 'plain'
  | 'number'
  | 'unsigned'
  | 'float'
  | 'bytes'
  | 'long_bytes'
  | 'text'
  | 'long_text'
  | 'members'
  | 'json';

const EXACT = new Set(['tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'decimal', 'year']);
const TEMPORAL = new Set(['date', 'time', 'datetime', 'timestamp']);
const BINARY = new Set(['binary', 'varbinary', 'tinyblob', 'blob', 'mediumblob', 'longblob', 'vector']);
/** All others may be longer than what fits beside their neighbours in one string of max_allowed_packet bytes. */
const SHORT = new Set(['char', 'varchar', 'binary', 'varbinary', 'tinytext', 'tinyblob', 'uuid', 'inet4', 'inet6']);

/** Throws VERIFY_TABLES_DIFFER where no form is exact for both. */
export function columnForm(source: Column, target: Column): ColumnForm {
  const both = (types: ReadonlySet<string>) => types.has(source.dataType) && types.has(target.dataType);
  if (both(EXACT)) return isZerofill(source) || isZerofill(target) ? 'number' : 'plain';
  if (both(TEMPORAL)) return 'plain';
  if (source.dataType === 'double' && target.dataType === 'double') return 'plain';
  if (source.dataType === 'float' && target.dataType === 'float') return 'float';
  if (source.dataType === 'bit' && target.dataType === 'bit') return 'unsigned';
  if (isMembers(source) && source.dataType === target.dataType)
    return source.columnType === target.columnType ? 'unsigned' : 'members';
  if (source.dataType === 'json' && target.dataType === 'json') return 'json';
  if (both(SPATIAL)) return 'long_bytes';
  if (isString(source) && isString(target)) return stringForm(source, target);
  throw new AppError(
    'VERIFY_TABLES_DIFFER',
    `column ${source.name} is ${source.columnType} on the one side and ${target.columnType} on the other: they cannot be compared`,
    {
      details: { column: source.name, source: source.columnType, target: target.columnType },
    },
  );
}

function stringForm(source: Column, target: Column): ColumnForm {
  const short = SHORT.has(source.dataType) && SHORT.has(target.dataType);
  const sameBytes =
    isBinary(source) ||
    isBinary(target) ||
    (source.charset !== null && family(source.charset) === family(target.charset));
  if (sameBytes) return short ? 'bytes' : 'long_bytes';
  return short ? 'text' : 'long_text';
}

/** MariaDB's UUID and INET types have no charset, but a text, and are CHAR or VARCHAR on MySQL. */
function isString({ dataType, charset }: Column): boolean {
  return SHORT.has(dataType) || BINARY.has(dataType) || (charset !== null && !isMembers({ dataType }));
}

function isBinary({ dataType }: Column): boolean {
  return BINARY.has(dataType);
}

function isMembers({ dataType }: Pick<Column, 'dataType'>): boolean {
  return dataType === 'enum' || dataType === 'set';
}

/** utf8mb3 stores what it can store as utf8mb4 does. */
function family(charset: string | null): string | null {
  return charset === 'utf8' || charset === 'utf8mb3' ? 'utf8mb4' : charset;
}
