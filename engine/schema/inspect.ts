import { AppError } from '../../core/errors.ts';
import type { ServerFacts } from '../api.ts';
import { errnoOf, quoteName, quoteText, textOf, type Bytes, type ServerConnection } from '../server/connection.ts';
import { chooseKey, type IndexDescription } from './choose-key.ts';
import type { Column, Table } from './table.ts';

type Row = Record<string, string | null>;

const NO_SUCH_TABLE = 1146;

/** Flavour, version and identity of a server. MariaDB has no server_uuid: its own uid, else what tells servers apart. */
export async function serverFacts(connection: ServerConnection): Promise<ServerFacts> {
  const variables = await globalVariables(connection, [
    'version',
    'version_comment',
    'server_uuid',
    'server_uid',
    'server_id',
    'hostname',
    'port',
    'datadir',
  ]);
  const version = variables.get('version') ?? '';
  const flavor = /mariadb/i.test(version + (variables.get('version_comment') ?? '')) ? 'mariadb' : 'mysql';
  const place = ['server_id', 'hostname', 'port', 'datadir'].map((name) => variables.get(name) ?? '').join('|');
  const serverUuid = variables.get('server_uuid') ?? variables.get('server_uid') ?? place;
  return { flavor, version, serverUuid };
}

/** Values of those variables that the server knows. */
export async function globalVariables(connection: ServerConnection, names: string[]): Promise<Map<string, string>> {
  const list = names.map((name) => quoteText(name)).join(',');
  const rows = await connection.rows(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${list})`);
  return new Map(rows.map(([name, value]) => [textOf(name ?? '').toLowerCase(), textOf(value ?? '')]));
}

/**
 * The base tables of `schema`, by name. Rejects with TABLE_UNKNOWN where a requested one does not exist. What is not a
 * base table (views, MariaDB's sequences and system-versioned tables) is not in the answer; the preflight names it.
 */
export async function inspectTables(
  connection: ServerConnection,
  schema: string,
  names: 'all' | string[],
): Promise<Table[]> {
  await freshStatistics(connection);
  const scope = `TABLE_SCHEMA = ${quoteText(schema)}${names === 'all' ? '' : ` AND TABLE_NAME IN (${names.map(quoteText).join(',')})`}`;
  const tables = await readWords(connection, `TABLES WHERE ${scope} AND TABLE_TYPE = 'BASE TABLE' ORDER BY TABLE_NAME`);
  const columns = groupByTable(
    await readWords(connection, `COLUMNS WHERE ${scope} ORDER BY TABLE_NAME, ORDINAL_POSITION`),
  );
  const parts = groupByTable(
    await readWords(connection, `STATISTICS WHERE ${scope} ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX`),
  );

  const result: Table[] = [];
  for (const row of tables) {
    const name = text(row, 'TABLE_NAME');
    const createSql = await createStatement(connection, schema, name);
    if (createSql === null) continue;
    const tableColumns = (columns.get(name) ?? []).map(columnOf);
    const indexes = indexesOf(parts.get(name) ?? [], tableColumns);
    const key = chooseKey(indexes, tableColumns);
    result.push({
      schema,
      name,
      columns: tableColumns,
      key,
      uniqueKeys: indexes
        .filter((index) => index.unique && index.name !== key?.name)
        .map(({ name, columns, whole }) => ({
          name,
          columns,
          whole: whole && columns.every((ordinal) => tableColumns[ordinal]?.generated === null),
        })),
      createSql,
      rowsEstimate: Number(row['TABLE_ROWS'] ?? 0),
      bytes: Number(row['DATA_LENGTH'] ?? 0),
    });
  }
  const found = new Set(result.map(({ name }) => name));
  const missing = names === 'all' ? [] : names.filter((name) => !found.has(name));
  if (missing.length > 0) {
    throw new AppError('TABLE_UNKNOWN', `no such table in ${schema}: ${missing.join(', ')}`, { details: { missing } });
  }
  return result;
}

/** Null: it was dropped since it was listed. */
async function createStatement(connection: ServerConnection, schema: string, name: string): Promise<string | null> {
  try {
    const [row] = await connection.rows(`SHOW CREATE TABLE ${quoteName(schema)}.${quoteName(name)}`);
    return textOf(row?.[1] ?? '');
  } catch (error) {
    if (errnoOf(error) === NO_SUCH_TABLE) return null;
    throw error;
  }
}

/** MySQL 8 and later answer row counts up to a day old otherwise; the others do not know the variable. */
async function freshStatistics(connection: ServerConnection): Promise<void> {
  try {
    await connection.write('SET SESSION information_schema_stats_expiry = 0');
  } catch (error) {
    if (errnoOf(error) !== 1193) throw error;
  }
}

/**
 * Rows of a table of information_schema, by column in capitals. `*` on purpose: 5.7 and MariaDB lack columns that later
 * versions have (EXPRESSION, IS_VISIBLE, IGNORED).
 */
export async function readWords(connection: ServerConnection, rest: Bytes): Promise<Row[]> {
  const rows = await connection.select<Row>(`SELECT * FROM information_schema.${rest}`);
  return rows.map((row) => Object.fromEntries(Object.entries(row).map(([key, value]) => [key.toUpperCase(), value])));
}

function groupByTable(rows: Row[]): Map<string, Row[]> {
  return Map.groupBy(rows, (row) => text(row, 'TABLE_NAME'));
}

function columnOf(row: Row): Column {
  const extra = text(row, 'EXTRA').toUpperCase();
  const columnType = text(row, 'COLUMN_TYPE');
  const length = row['CHARACTER_MAXIMUM_LENGTH'] ?? null;
  // DEFAULT_GENERATED is MySQL's word for a default that is an expression, not for a generated column.
  const generated = /\b(STORED|PERSISTENT|VIRTUAL)( GENERATED)?\b/.exec(extra)?.[1];
  return {
    name: text(row, 'COLUMN_NAME'),
    dataType: text(row, 'DATA_TYPE').toLowerCase(),
    columnType,
    charset: row['CHARACTER_SET_NAME'] ?? null,
    collation: row['COLLATION_NAME'] ?? null,
    nullable: text(row, 'IS_NULLABLE') === 'YES',
    unsigned: /\bunsigned\b/i.test(columnType) && !/^(enum|set)\b/i.test(columnType),
    generated: generated === undefined ? null : generated === 'VIRTUAL' ? 'virtual' : 'stored',
    length: length === null ? null : Number(length),
  };
}

/** Indexes whose parts are all plain columns, whole; those with prefixes or expressions cannot address a row by `=`. */
function indexesOf(parts: Row[], columns: Column[]): IndexDescription[] {
  const ordinals = new Map(columns.map((column, ordinal) => [column.name.toLowerCase(), ordinal]));
  const indexes: IndexDescription[] = [];
  for (const [name, rows] of Map.groupBy(parts, (row) => text(row, 'INDEX_NAME'))) {
    const ordinalsOfParts = rows.map((row) => ordinals.get((row['COLUMN_NAME'] ?? '').toLowerCase()));
    const first = rows[0] ?? {};
    indexes.push({
      name,
      unique: first['NON_UNIQUE'] === '0',
      columns: ordinalsOfParts.filter((ordinal) => ordinal !== undefined),
      whole: ordinalsOfParts.every((ordinal) => ordinal !== undefined) && rows.every((row) => row['SUB_PART'] === null),
      used: first['IS_VISIBLE'] !== 'NO' && first['IGNORED'] !== 'YES',
    });
  }
  return indexes;
}

function text(row: Row, column: string): string {
  return row[column] ?? '';
}
