import type { Column, Table } from '../../engine/schema/table.ts';
import { quoteName, type Bytes, type ServerConnection, type Value } from '../../engine/server/connection.ts';

/**
 * SQL for the bytes that a value is made of, the same on every server: what tests compare straight from the servers,
 * with nothing of the engine's own reading in between. HEX of a number is that of its integer part, so numbers are taken
 * as text; FLOAT as a DOUBLE, since its own text has six digits, but not DOUBLE, whose expressions are cut to 22 characters.
 */
export function exactForm(column: Column): Bytes {
  const name = quoteName(column.name);
  switch (column.dataType) {
    case 'float':
      return `HEX(CONCAT(${name}*1e0))`;
    case 'enum':
    case 'bit':
      return `HEX(CONCAT(${name}+0))`;
    case 'set':
      // A sum is signed.
      return `HEX(CONCAT(CAST(${name} AS UNSIGNED)))`;
    case 'json':
      return jsonForm(name);
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'bigint':
    case 'decimal':
    case 'year':
      return `HEX(CONCAT(${name}${/zerofill/i.test(column.columnType) ? '+0' : ''}))`;
    case 'double':
    case 'inet4':
    case 'inet6':
    case 'uuid':
      return `HEX(CONCAT(${name}))`;
    case 'mediumblob':
    case 'longblob':
    case 'mediumtext':
    case 'longtext':
      return hexOrHash(name);
    default:
      return `HEX(${name})`;
  }
}

const HEX_BYTES_MAX = 1_000_000;

function hexOrHash(bytes: Bytes): Bytes {
  return `IF(LENGTH(${bytes})>${HEX_BYTES_MAX},CONCAT(LENGTH(${bytes}),':',SHA2(${bytes},512)),HEX(${bytes}))`;
}

/**
 * The text, and the type of every value in the document in its own order: 1.5 may be a DECIMAL or a DOUBLE. Of a very large
 * document, whether its text says it all.
 */
function jsonForm(name: Bytes): Bytes {
  const text = `CAST(${name} AS CHAR CHARACTER SET utf8mb4)`;
  const types = (path: string) =>
    `(SELECT IFNULL(GROUP_CONCAT(JSON_TYPE(v.v)),'') FROM JSON_TABLE(${name}, '${path}' COLUMNS (v JSON PATH '$')) v)`;
  const all = `CONCAT_WS('/', JSON_TYPE(${name}), ${types('$**.*')}, ${types('$**[*]')})`;
  return `CONCAT_WS('/', ${hexOrHash(text)}, IF(LENGTH(${text})>${HEX_BYTES_MAX}, ${name}=CAST(${text} AS JSON), ${all}))`;
}

/** Rows of the whole table in the order of its key, each value in its exact form. */
export async function exactRows(connection: ServerConnection, table: Table): Promise<Value[][]> {
  const name = `${quoteName(table.schema)}.${quoteName(table.name)}`;
  const order = (table.key?.columns ?? []).map((ordinal) => ordinal + 1).join(',');
  return await formRows(connection, `SELECT ${table.columns.map(exactForm).join(',')} FROM ${name} ORDER BY ${order}`);
}

/** JSON paths are literals, which must not be binary as all others of our connections are. */
async function formRows(connection: ServerConnection, sql: Bytes): Promise<Value[][]> {
  await connection.write(
    'SET SESSION group_concat_max_len = 1000000000, sort_buffer_size = 268435456, collation_connection = utf8mb4_bin',
  );
  const rows = await connection.rows(sql);
  await connection.write('SET SESSION collation_connection = binary');
  return rows;
}

/** The same, a row as one text. */
export async function hexRows(connection: ServerConnection, table: Table): Promise<string[]> {
  const rows = await exactRows(connection, table);
  return rows.map((row) => row.map((value) => value ?? 'NULL').join('|'));
}

/** Two sums over all rows, for tables too large to be fetched. */
export async function tableSum(connection: ServerConnection, table: Table): Promise<string> {
  const text = table.columns.map((column) => `IFNULL(${exactForm(column)},'N')`).join(",'|',");
  const [row] = await formRows(
    connection,
    `SELECT COUNT(*), SUM(CRC32(CONCAT(${text}))), BIT_XOR(CRC32(CONCAT('x',${text}))) FROM ${quoteName(table.schema)}.${quoteName(table.name)}`,
  );
  return (row ?? []).join('/');
}
