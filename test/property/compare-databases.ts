import type { RowDataPacket } from 'mysql2';
import type mysql from 'mysql2/promise';
import type { RunningServer } from '../../servers/running-server.ts';
import { connect, rows } from '../support/query.ts';

const DIFFERENCES_SHOWN = 5;

export interface Difference {
  table: string;
  what: string;
}

/** Every row of every table as text that one server and the other give for the same value, without any code of the engine. */
export async function compareDatabases(
  source: RunningServer,
  target: RunningServer,
  database: string,
): Promise<Difference[]> {
  await using left = await connect(source, database);
  await using right = await connect(target, database);
  for (const connection of [left, right]) await connection.query("SET SESSION time_zone='+00:00', sql_mode=''");
  const names = await tableNames(left, database);
  const others = await tableNames(right, database);
  const differences: Difference[] = [];
  for (const table of new Set([...names, ...others])) {
    if (!names.includes(table) || !others.includes(table)) {
      differences.push({ table, what: `only on the ${names.includes(table) ? 'source' : 'target'}` });
    } else {
      const what = await compareTable(left, right, database, table);
      if (what !== null) differences.push({ table, what });
    }
  }
  return differences;
}

async function tableNames(connection: mysql.Connection, database: string): Promise<string[]> {
  const found = await rows(
    connection,
    `SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA='${database}' AND TABLE_TYPE='BASE TABLE'`,
  );
  // See `others` of random-ddl.ts.
  return found.map(({ name }) => String(name)).filter((name) => !name.startsWith('extra '));
}

async function compareTable(
  left: mysql.Connection,
  right: mysql.Connection,
  database: string,
  table: string,
): Promise<string | null> {
  const columns = await columnsOf(left, database, table);
  const others = await columnsOf(right, database, table);
  const names = columns.map(({ name }) => name).join(', ');
  const otherNames = others.map(({ name }) => name).join(', ');
  if (names !== otherNames) return `columns ${names} and ${otherNames}`;
  const [here, there] = [await texts(left, table, columns), await texts(right, table, others)];
  const missing = without(here, there);
  const extra = without(there, here);
  if (missing.length === 0 && extra.length === 0) return null;
  const show = (list: string[]) =>
    list
      .slice(0, DIFFERENCES_SHOWN)
      .map((text) => `\n    ${text.slice(0, 600)}`)
      .join('');
  return `${here.length} and ${there.length} rows (${names}); ${missing.length} only on the source:${show(missing)}\n  ${extra.length} only on the target:${show(extra)}`;
}

/** As multisets: a table need not have a key. */
function without(list: string[], others: string[]): string[] {
  const counts = new Map<string, number>();
  for (const text of others) counts.set(text, (counts.get(text) ?? 0) + 1);
  return list.filter((text) => {
    const count = counts.get(text) ?? 0;
    if (count > 0) counts.set(text, count - 1);
    return count === 0;
  });
}

interface ColumnName {
  name: string;
  type: string;
}

async function columnsOf(connection: mysql.Connection, database: string, table: string): Promise<ColumnName[]> {
  const found = await rows(
    connection,
    `SELECT COLUMN_NAME AS name, DATA_TYPE AS type FROM information_schema.COLUMNS WHERE TABLE_SCHEMA='${database}' AND TABLE_NAME='${table}' ORDER BY ORDINAL_POSITION`,
  );
  return found.map(({ name, type }) => ({ name: String(name), type: String(type).toLowerCase() }));
}

async function texts(connection: mysql.Connection, table: string, columns: ColumnName[]): Promise<string[]> {
  const sql = `SELECT ${columns.map(exactText).join(',')} FROM \`${table}\``;
  const [found] = await connection.query<RowDataPacket[]>({ sql, rowsAsArray: true });
  const text = (value: string | null, i: number) =>
    value === null ? 'NULL' : isApproximate(columns[i]) ? String(Number(value)) : value;
  return (found as unknown as (string | null)[][]).map((row) => row.map(text).join('|')).sort();
}

/** The servers write the same number in different ways; JavaScript writes it in one. */
function isApproximate(column: ColumnName | undefined): boolean {
  return column?.type === 'float' || column?.type === 'double';
}

/** HEX of a number is that of its integer part, so numbers are taken as they print. */
function exactText({ name, type }: ColumnName): string {
  const quoted = `\`${name.replaceAll('`', '``')}\``;
  switch (type) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'bigint':
    case 'decimal':
    case 'year':
      return `CAST(${quoted} AS CHAR)`;
    case 'float':
    case 'double':
      return `CAST(${quoted}*1e0 AS CHAR)`;
    case 'enum':
    case 'set':
    case 'bit':
      // MySQL makes a double of a SET.
      return `CAST(CAST(${quoted}+0 AS UNSIGNED) AS CHAR)`;
    case 'uuid':
    case 'inet4':
    case 'inet6':
    case 'json':
      return `HEX(CAST(${quoted} AS CHAR))`;
    default:
      return `HEX(${quoted})`;
  }
}
