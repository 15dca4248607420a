import { quoteName, type Bytes } from '../server/connection.ts';
import type { ColumnForm } from './column-form.ts';

export interface ComparedColumn {
  /** As it is called on the server on which the SQL runs. */
  name: string;
  form: ColumnForm;
  /** On either side. */
  nullable: boolean;
}

/**
 * SQL for the text of a row: the parts of its columns one after the other, each telling by itself where it ends, so that
 * no two rows share a text. A number ends with a comma; a string has its length in bytes and a colon in front; a long value
 * is there as its SHA-256, since CONCAT answers NULL for more than max_allowed_packet bytes. NULL is `-`, where a number, a
 * length or a hash would be.
 */
export function rowText(columns: readonly ComparedColumn[]): Bytes {
  return concat(columns.flatMap(parts));
}

/** The part of one column alone. */
export function columnText(column: ComparedColumn): Bytes {
  return concat(parts(column));
}

/**
 * The empty string in front makes it a binary string, so that the others come as the bytes that are stored. A literal
 * alone does not: with a utf16 column the text would be utf16, with latin1 and utf8mb4 columns utf8mb4, on MariaDB an error.
 */
function concat(pieces: readonly Bytes[]): Bytes {
  return `CONCAT(CAST('' AS BINARY),${pieces.join(',')})`;
}

function parts(column: ComparedColumn): Bytes[] {
  const name = quoteName(column.name);
  switch (column.form) {
    case 'plain':
      return orNull(column, name);
    case 'number':
      return orNull(column, `(${name}+0)`);
    case 'unsigned':
      return orNull(column, `CAST(${name} AS UNSIGNED)`);
    case 'float':
      return orNull(column, `(${name}*${TWO_TO_149})`);
    case 'bytes':
      return sized(column, name);
    case 'text':
      return sized(column, utf8mb4(name));
    case 'members':
      // Index 0, the error value, and a member '' have the same text.
      return [`IFNULL(${name}+0=0,'-')`, ...sized(column, utf8mb4(name))];
    case 'long_bytes':
      return hashed(column, name, name);
    case 'long_text':
      return hashed(column, name, utf8mb4(name));
    case 'json':
      return hashed(column, name, jsonForm(name));
    default:
      throw new Error(`no such form: ${String(column.form satisfies never)}`);
  }
}

/**
 * A FLOAT's own text has six digits. As a DOUBLE it has all, but MySQL cuts the text of an expression to 22 characters and
 * MariaDB changes to exponents elsewhere. Times 2^149 every FLOAT is a whole number below 2^278: exact, its text fits, and
 * both servers write it alike (tried: 9.7, 10.11, 11.8). The sign of -0 stays.
 */
const TWO_TO_149: Bytes = '713623846352979940529142984724747568191373312e0';

/**
 * The text of the document that the text parses to, which is the same of every version; and where that is another
 * document, since JSON has no text for some values (engine/schema/json-value.ts), the document's own text and a mark. A
 * DECIMAL and the DOUBLE of the same number are equal for the server, and so they are here.
 */
function jsonForm(name: Bytes): Bytes {
  const parsed = `CAST(${jsonText(name)} AS JSON)`;
  return `IF(${name}=${parsed},${jsonText(parsed)},CONCAT(${jsonText(name)},'!'))`;
}

function jsonText(document: Bytes): Bytes {
  return `CAST(${document} AS CHAR CHARACTER SET utf8mb4)`;
}

function utf8mb4(name: Bytes): Bytes {
  return `CONVERT(${name} USING utf8mb4)`;
}

function orNull({ nullable }: ComparedColumn, expression: Bytes): Bytes[] {
  return [nullable ? `IFNULL(${expression},'-')` : expression, "','"];
}

/** Without a CONCAT of its own for a nullable one: a tenth of the whole. */
function sized({ nullable }: ComparedColumn, expression: Bytes): Bytes[] {
  return nullable
    ? [`IFNULL(LENGTH(${expression}),'-')`, "':'", `IFNULL(${expression},'')`]
    : [`LENGTH(${expression})`, "':'", expression];
}

/** Asks for NULL by name: a value that the server could not convert must not look like NULL, but make the whole text NULL. */
function hashed({ nullable }: ComparedColumn, name: Bytes, expression: Bytes): Bytes[] {
  const hash = `SHA2(${expression},256)`;
  return [nullable ? `IF(${name} IS NULL,'-',${hash})` : hash];
}
