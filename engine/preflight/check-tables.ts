import type { Finding, ImportRequest } from '../api.ts';
import { quoteText, type ServerConnection } from '../server/connection.ts';
import { definitionName, parseCreate } from '../schema/create-statement.ts';
import { afterDefinitions, paddedPartitionColumns } from '../schema/padded-partitions.ts';
import { quoted } from '../schema/target-ddl.ts';
import type { Table } from '../schema/table.ts';
import { finding, listed } from './finding.ts';

/** Engines whose rows are elsewhere, or never logged as rows. */
const REMOTE_ENGINES = new Set([
  'BLACKHOLE',
  'FEDERATED',
  'FEDERATEDX',
  'CONNECT',
  'SPIDER',
  'S3',
  'MRG_MYISAM',
  'PERFORMANCE_SCHEMA',
  'NDBCLUSTER',
  'OQGRAPH',
  'SPHINX',
  'MROONGA',
  'COLUMNSTORE',
]);

/** Each imported table by itself, on the source. `engines`: see `enginesOf`. */
export async function checkTables(
  source: ServerConnection,
  { database, options: { reverse } }: Pick<ImportRequest, 'database' | 'options'>,
  { tables, engines }: { tables: Table[]; engines: ReadonlyMap<string, string> },
): Promise<Finding[]> {
  const transactional = await transactionalEngines(source);
  const invisible = await invisibleColumns(source, database);
  return tables.flatMap((table) => [
    ...checkKey(table),
    ...checkEngine(table, engines.get(table.name) ?? 'InnoDB'),
    ...(reverse === 'off' ? [] : checkWayBack(table, engines.get(table.name) ?? 'InnoDB', transactional)),
    ...checkName(table),
    ...checkPartitions(table),
    ...checkColumns(table, invisible.get(table.name) ?? []),
    ...checkTimeZones(table),
  ]);
}

/** What is computed of a TIMESTAMP is another value in another time zone, and the target computes it in ours. */
function checkTimeZones(table: Table): Finding[] {
  const times = new Set(
    table.columns.flatMap(({ name, dataType }) => (dataType === 'timestamp' ? [quoted(name)] : [])),
  );
  const stored = new Set(table.columns.flatMap(({ name, generated }) => (generated === 'stored' ? [name] : [])));
  if (times.size === 0 || stored.size === 0) return [];
  const found = parseCreate(table.createSql).definitions.flatMap((definition) => {
    const name = definition.kind === 'column' ? definitionName(definition) : null;
    const isOfTime = definition.tokens.slice(1).some(({ kind, text }) => kind === 'name' && times.has(text));
    return name !== null && stored.has(name) && isOfTime ? [name] : [];
  });
  return found.length === 0
    ? []
    : [finding('GENERATED_FROM_TIMESTAMP', 'source', table.name, `${table.name}: ${listed(found)}`)];
}

function checkKey(table: Table): Finding[] {
  if (table.key !== null) return [];
  const name = `${quoted(table.schema)}.${quoted(table.name)}`;
  return [
    finding(
      'TABLE_WITHOUT_KEY',
      'source',
      table.name,
      `${table.name} has no primary key and no unique key of whole NOT NULL columns`,
      `ALTER TABLE ${name} ADD COLUMN switchyard_row_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY; (before MySQL 8.0.23 and MariaDB 10.3 it cannot be made INVISIBLE), or name existing columns: ALTER TABLE ${name} ADD PRIMARY KEY (…);`,
    ),
  ];
}

function checkEngine(table: Table, engine: string): Finding[] {
  if (engine.toUpperCase() === 'INNODB') return [];
  if (REMOTE_ENGINES.has(engine.toUpperCase()))
    return [finding('ENGINE_REMOTE', 'source', table.name, `${table.name} is a ${engine} table`)];
  return [
    finding(
      'ENGINE_NOT_INNODB',
      'source',
      table.name,
      `${table.name} is a ${engine} table`,
      `ALTER TABLE ${quoted(table.schema)}.${quoted(table.name)} ENGINE = InnoDB; beforehand shows whether anything depends on the old engine.`,
    ),
  ];
}

/** What was written in part cannot be taken back there, and is logged without the mark that it is ours (I7). */
function checkWayBack(table: Table, engine: string, transactional: ReadonlySet<string>): Finding[] {
  if (transactional.has(engine.toUpperCase()) || REMOTE_ENGINES.has(engine.toUpperCase())) return [];
  return [
    finding(
      'ENGINE_NOT_TRANSACTIONAL',
      'source',
      table.name,
      `${table.name} is a ${engine} table, which has no transactions: switching back to it is not possible`,
      `ALTER TABLE ${quoted(table.schema)}.${quoted(table.name)} ENGINE = InnoDB; or create the import with the option reverse: off.`,
    ),
  ];
}

function checkName(table: Table): Finding[] {
  const names = [table.name, ...table.columns.map(({ name }) => name)].filter((name) => /[^\x20-\x7e]/.test(name));
  return names.length === 0
    ? []
    : [finding('NAME_NOT_ASCII', 'source', table.name, `names outside ASCII: ${listed(names)}`)];
}

function checkColumns(table: Table, invisible: string[]): Finding[] {
  const generated = table.columns.filter((column) => column.generated !== null).map(({ name }) => name);
  return [
    ...(generated.length === 0
      ? []
      : [finding('COLUMNS_GENERATED', 'source', table.name, `${table.name}: ${listed(generated)}`)]),
    ...(invisible.length === 0
      ? []
      : [finding('COLUMNS_INVISIBLE', 'source', table.name, `${table.name}: ${listed(invisible)}`)]),
    ...(/\bPARTITION BY\b/.test(afterDefinitions(table.createSql))
      ? [finding('PARTITIONED', 'source', table.name, `${table.name} is partitioned`)]
      : []),
  ];
}

function checkPartitions(table: Table): Finding[] {
  const padded = paddedPartitionColumns(table);
  if (padded.length === 0) return [];
  return [
    finding(
      'PARTITIONED_BY_PADDED_TEXT',
      'source',
      table.name,
      `${table.name} is partitioned by KEY over ${listed(padded)}`,
    ),
  ];
}

/** By table. */
export async function enginesOf(source: ServerConnection, database: string): Promise<Map<string, string>> {
  const rows = await source.select<{ name: string; engine: string | null }>(
    `SELECT TABLE_NAME AS name, ENGINE AS engine FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${quoteText(database)}`,
  );
  return new Map(rows.map(({ name, engine }) => [name, engine ?? 'unknown']));
}

async function transactionalEngines(source: ServerConnection): Promise<Set<string>> {
  const rows = await source.select<{ engine: string }>(
    "SELECT ENGINE AS engine FROM information_schema.ENGINES WHERE TRANSACTIONS = 'YES'",
  );
  return new Set(rows.map(({ engine }) => engine.toUpperCase()));
}

async function invisibleColumns(source: ServerConnection, database: string): Promise<Map<string, string[]>> {
  const rows = await source.select<{ name: string; columnName: string }>(
    `SELECT TABLE_NAME AS name, COLUMN_NAME AS columnName FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ${quoteText(database)} AND EXTRA LIKE '%INVISIBLE%'`,
  );
  return new Map(
    [...Map.groupBy(rows, ({ name }) => name)].map(([name, columns]) => [
      name,
      columns.map(({ columnName }) => columnName),
    ]),
  );
}
