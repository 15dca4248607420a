import { quoteName, type Bytes, type ServerConnection } from '../../engine/server/connection.ts';
import type { Column, Table } from '../../engine/schema/table.ts';

/** A column type with values in canonical form (see RowImage), among them those that tools get wrong. */
export interface ZooColumn {
  name: string;
  type: string;
  values: Bytes[];
  /** Cannot be indexed whole. */
  noIndex?: boolean;
}

const BOTH: ZooColumn[] = [
  { name: 'ti', type: 'tinyint', values: ['-128', '0', '127'] },
  { name: 'bu', type: 'bigint unsigned', values: ['18446744073709551615', '0', '9007199254740993'] },
  { name: 'iz', type: 'int(8) unsigned zerofill', values: ['42', '0'] },
  {
    name: 'de',
    type: 'decimal(65,30)',
    values: [`${'9'.repeat(35)}.${'1234567890'.repeat(3)}`, `-0.${'0'.repeat(29)}1`, `0.${'0'.repeat(30)}`],
  },
  { name: 'fl', type: 'float', values: ['0.1', '3.4028235e+38', '1e-45', '16777216'] },
  { name: 'fd', type: 'float(7,4)', values: ['0.1', '-999.9999'] },
  {
    name: 'db',
    type: 'double',
    values: ['0.1', '1.7976931348623157e+308', '5e-324', '100000000000000000000', '1e-7', '123456789.12345679'],
  },
  { name: 'dz', type: 'double zerofill', values: ['1.5'] },
  { name: 'yr', type: 'year', values: ['0000', '1901', '2155', '2024'] },
  { name: 'da', type: 'date', values: ['0000-00-00', '2024-00-10', '9999-12-31'] },
  { name: 'dt', type: 'datetime(6)', values: ['0000-00-00 00:00:00.000000', '2024-05-06 07:08:09.123456'] },
  {
    name: 'ts',
    type: 'timestamp(3) null',
    values: ['0000-00-00 00:00:00.000', '1970-01-01 00:00:01.000', '2038-01-19 03:14:07.999'],
  },
  { name: 'tm', type: 'time(2)', values: ['-838:59:58.99', '838:59:59.00', '00:00:00.00'] },
  {
    name: 'l1',
    type: 'varchar(20) character set latin1',
    values: ['\x81\x8d\x8f\x90\x9d', "a\\b'c", '', '\x1c\x1d\x1e\t\n\r\0\x1a'],
  },
  { name: 'gb', type: 'varchar(20) character set gbk', values: ['\x81\x5c\x81\x5c', '\xd5\x5c'] },
  { name: 'sj', type: 'varchar(20) character set sjis', values: ['\x83\x5c\x95\x5c'] },
  {
    name: 'w2',
    type: 'varchar(20) character set utf16',
    values: ['\x00a\x00\\', '\xd8\x3d\xde\x00', '\x1c\x1d\x00\x1e'],
  },
  { name: 'w4', type: 'varchar(20) character set utf32', values: ['\x00\x01\xf6\x00'] },
  { name: 'uc', type: 'varchar(20) character set ucs2', values: ['\x5c\x5c\x00\x27'] },
  {
    name: 'u4',
    type: 'varchar(20) character set utf8mb4',
    values: ['\xf0\x9f\x98\x80', '\n\r\t\0\x1a\\\'"`%_', 'NULL', '\\N', 'N', '\x1cN'],
  },
  { name: 'u3', type: 'varchar(20) character set utf8mb3', values: ['\xc3\xa9'] },
  { name: 'ai', type: 'varchar(20) character set ascii', values: ['abc ', 'a\x7f'] },
  { name: 'ch', type: 'char(9) character set utf8mb4', values: ['abc', '\xc3\xa4'] },
  { name: 'bi', type: 'binary(5)', values: ['ab\0\0\0', '\0\0\0\0\0', "\\'\xff\xfe\x27"] },
  {
    name: 'vb',
    type: 'varbinary(300)',
    values: ['', "\0\\'\xff", '\x1c\x1d\x1e', '\x1e'.repeat(251), '\xfb\xfc\xfd\xfe\xff'],
  },
  { name: 'b1', type: 'bit(1)', values: ['0', '1'] },
  { name: 'b6', type: 'bit(64)', values: ['18446744073709551615', '5', '2018915346'] },
  { name: 'b9', type: 'bit(9)', values: ['511', '0', '28'] },
  { name: 'en', type: "enum('a','b,c','''q','x')", values: ['0', '1', '3', '2'] },
  { name: 'ed', type: "enum('0','1','2')", values: ['0', '1', '3'] },
  { name: 'ee', type: "enum('','b')", values: ['0', '1', '2'] },
  { name: 'ew', type: "enum('x','y') character set utf16", values: ['0', '2'] },
  { name: 'se', type: "set('a','b','c d','e')", values: ['0', '15', '5'] },
  { name: 'sd', type: "set('1','2','x')", values: ['0', '1', '2', '7'] },
  { name: 'bl', type: 'blob', values: ['\0\\', '', '\x1e\x1d\x1c'.repeat(20_000)], noIndex: true },
  { name: 'tx', type: 'text character set gbk', values: ['\x81\x5c', 'x'.repeat(60_000)], noIndex: true },
];

const POINT = '\x01\x01\0\0\0\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\x40';

/** What both sides hold in the same form; and what only MySQL, or only MariaDB, knows. */
export const ZOO: Record<'mysql' | 'mariadb', ZooColumn[]> = {
  mysql: [
    ...BOTH,
    { name: 'fm', type: 'float', values: ['-0'] },
    { name: 'dm', type: 'double', values: ['-0'] },
    {
      name: 'js',
      type: 'json',
      values: ['{"a": 1.0, "b": [1e100, 0.1, "x\\u0000\\\\"], "__proto__": null}', 'null', '"\\""'],
      noIndex: true,
    },
    { name: 'ge', type: 'geometry', values: [`\xe6\x10\0\0${POINT}`, `\0\0\0\0${POINT}`], noIndex: true },
    { name: 've', type: 'vector(3)', values: ['\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40'], noIndex: true },
  ],
  mariadb: [
    ...BOTH,
    { name: 'po', type: 'point', values: [`\0\0\0\0${POINT}`], noIndex: true },
    { name: 'jl', type: 'json', values: ['{"a":1.0}'], noIndex: true },
    { name: 'i6', type: 'inet6', values: ['::1', '2001:db8::ff00:42:8329'] },
    { name: 'uu', type: 'uuid', values: ['123e4567-e89b-12d3-a456-426655440000'] },
  ],
};

/** Rows of the whole table in the order of its key, each value as the bytes that it is made of. */
export async function hexRows(connection: ServerConnection, table: Table): Promise<string[]> {
  const name = `${quoteName(table.schema)}.${quoteName(table.name)}`;
  const order = (table.key?.columns ?? []).map((ordinal) => ordinal + 1).join(',');
  const rows = await connection.rows(`SELECT ${table.columns.map(exactForm).join(',')} FROM ${name} ORDER BY ${order}`);
  return rows.map((row) => row.map((value) => value ?? 'NULL').join('|'));
}

/** HEX of a number is that of its integer part, so numbers are taken as text. */
function exactForm(column: Column): Bytes {
  const name = quoteName(column.name);
  switch (column.dataType) {
    case 'float':
    case 'double':
      return `HEX(CONCAT(${name}*1e0))`;
    case 'enum':
    case 'set':
    case 'bit':
      return `HEX(CONCAT(${name}+0))`;
    case 'json':
      return `HEX(CAST(${name} AS CHAR))`;
    case 'decimal':
    case 'tinyint':
    case 'int':
    case 'bigint':
    case 'year':
    case 'inet6':
    case 'uuid':
      return `HEX(CONCAT(${name}))`;
    default:
      return `HEX(${name})`;
  }
}

/** Two sums over all rows, for tables too large to be fetched. */
export async function tableSum(connection: ServerConnection, table: Table): Promise<string> {
  const text = table.columns.map((column) => `IFNULL(${exactForm(column)},'N')`).join(",'|',");
  const [row] = await connection.rows(
    `SELECT COUNT(*), SUM(CRC32(CONCAT(${text}))), BIT_XOR(CRC32(CONCAT('x',${text}))) FROM ${quoteName(table.schema)}.${quoteName(table.name)}`,
  );
  return (row ?? []).join('/');
}
