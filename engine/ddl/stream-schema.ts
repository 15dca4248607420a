import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import type { Flavor } from '../../core/gtid.ts';
import { inspectTables, serverFacts } from '../schema/inspect.ts';
import { paddedPartitionColumns } from '../schema/padded-partitions.ts';
import type { Table } from '../schema/table.ts';
import { convertedOtherwise, type ConversionContext } from './ddl-conversion.ts';
import { quoteName, quoteText, textOf, type Bytes, type ServerConnection } from '../server/connection.ts';
import { STREAM_SCHEMA, type Direction } from '../sidecar.ts';
import type { LoggedDdl } from '../stream/transaction.ts';
import { sqlTokens } from '../stream/sql-lexer.ts';
import { statementEffect, type StatementEffect } from '../stream/statement-effect.ts';
import { isSameName } from '../stream/stream-scope.ts';

const tableSchema = z.object({
  schema: z.string(),
  name: z.string(),
  columns: z.array(
    z.object({
      name: z.string(),
      dataType: z.string(),
      columnType: z.string(),
      charset: z.string().nullable(),
      collation: z.string().nullable(),
      nullable: z.boolean(),
      unsigned: z.boolean(),
      generated: z.enum(['stored', 'virtual']).nullable(),
      length: z.number().nullable(),
    }),
  ),
  key: z.object({ name: z.string(), columns: z.array(z.number()) }).nullable(),
  uniqueKeys: z.array(z.object({ name: z.string(), columns: z.array(z.number()), whole: z.boolean() })),
  createSql: z.string(),
});

/** Null: the table is imported, and was dropped. */
export type Definitions = Map<string, Table | null>;

export interface DdlContext {
  ddl: LoggedDdl;
  outcome: 'applied' | 'skipped';
  origin: ServerConnection;
  destination: ServerConnection;
  /** Of the origin. */
  flavor: Flavor;
  database: string;
  /** See `ReplicationOptions`. */
  allTables: boolean;
}

/**
 * The imported tables as they are on the origin at the position of a stream, kept beside that position and changed in the
 * same transaction. Asking the origin instead answers how they are now, which is another time: wrong while the stream is
 * behind a DDL statement, or comes back from a restart there.
 */
export class StreamSchema {
  readonly #where: Bytes;
  readonly #values: Bytes;

  constructor(importId: string, direction: Direction) {
    this.#where = `import_id=${quoteText(importId)} AND direction=${quoteText(direction)}`;
    this.#values = `${quoteText(importId)}, ${quoteText(direction)}`;
  }

  async isKept(destination: ServerConnection): Promise<boolean> {
    const rows = await destination.rows(`SELECT 1 FROM ${STREAM_SCHEMA} WHERE ${this.#where} LIMIT 1`);
    return rows.length > 0;
  }

  /** Undefined: nothing is kept. */
  async read(destination: ServerConnection): Promise<Definitions | undefined> {
    const rows = await destination.rows(`SELECT table_name, definition FROM ${STREAM_SCHEMA} WHERE ${this.#where}`);
    if (rows.length === 0) return undefined;
    return new Map(
      rows.map(([name, definition]) => [textOf(name ?? ''), definition == null ? null : parseDefinition(definition)]),
    );
  }

  /**
   * What is kept; where nothing is yet, what `tables` answers, and keeps that. Of those in `names` that are not among them it is kept that
   * they are gone, as behind a DROP.
   */
  async load(
    destination: ServerConnection,
    tables: () => Promise<Table[]>,
    names: readonly string[] = [],
  ): Promise<Definitions> {
    const kept = await this.read(destination);
    if (kept !== undefined) return kept;
    const definitions: Definitions = new Map(names.map((name) => [name, null]));
    for (const table of await tables()) definitions.set(table.name, table);
    await destination.write('BEGIN');
    for (const statement of this.keepStatements(definitions)) await destination.write(statement);
    await destination.write('COMMIT');
    return definitions;
  }

  /** For the transaction that makes the position behind a DDL statement durable. */
  keepStatements(changed: Definitions): Bytes[] {
    return [...changed].map(([name, table]) => {
      const definition = table === null ? 'NULL' : quoteText(JSON.stringify(table));
      return `REPLACE INTO ${STREAM_SCHEMA} VALUES (${this.#values}, ${quoteText(name)}, ${definition})`;
    });
  }
}

/**
 * What a DDL statement has changed, after the policy had its way with it.
 *
 * The destination tells: it has executed the same history, by us or by the operator. Its definitions are the origin's where
 * both are MySQL. Where a statement was skipped and the destination shows nothing of it, and where one is MariaDB, between whose
 * definitions and MySQL's is a translation, the origin is asked how the table is now; should it be further on than this place, its
 * columns are not those of the destination, or row events will not fit: both stop the stream.
 */
export async function definitionsAfter(before: Definitions, context: DdlContext): Promise<Definitions> {
  const { ddl, outcome, origin, destination, flavor, database, allTables } = context;
  const effect = statementEffect(ddl);
  const named = new Set(before.keys());
  if (effect.kind === 'tables') {
    const written = effect.tables.filter(({ schema }) => isSameName(schema, database)).map(({ name }) => name);
    for (const known of before.keys()) if (!written.some((name) => isSameName(name, known))) named.delete(known);
    for (const name of written) named.add(name);
  }
  const there = await tablesOf(destination, database, named);
  const now = await tablesOf(origin, database, named);
  // As the servers spell what the statement names.
  if (allTables) for (const name of [...there.keys(), ...now.keys()]) named.add(name);
  const isRenamed = [...named].some((name) => before.get(name) != null && !there.has(name));
  const stays = [...named].find((name) => before.get(name) != null && there.has(name));
  if (outcome === 'skipped' && stays !== undefined && renamesTable(ddl.sql)) {
    throw new AppError(
      'DDL_RENAME_SKIPPED',
      `table ${stays} has another name on the origin from here on, and not on the destination: ${ddl.sql.slice(0, 200)}`,
      { details: { table: stays } },
    );
  }
  const isMysql = flavor === 'mysql' && (await serverFacts(destination)).flavor === 'mysql';
  const changed: Definitions = new Map();
  for (const name of named) {
    const known = before.get(name);
    const found = there.get(name);
    // A table that is not imported becomes so by taking the place of one that is, or where all are.
    if (known === undefined && !((isRenamed || allTables) && found !== undefined)) continue;
    if (known === undefined && ddl.withRows) throw cameWithRows(ddl.sql);
    const onOrigin = now.get(name);
    if (isMysql && known == null) checkCharsets(found, onOrigin, ddl.sql);
    if (!isMysql && outcome === 'applied') {
      checkPlaces(found, onOrigin);
      const former = formerDefinition(known, before, { ddl, effect, database });
      if (former != null && found !== undefined)
        await checkConversion(destination, found, {
          before: former,
          after: onOrigin === undefined ? [found] : [onOrigin, found],
          ddl,
          isOfMariadb: flavor === 'mariadb',
        });
    }
    if (found === undefined) changed.set(name, null);
    else if (known == null) changed.set(name, isMysql ? found : (onOrigin ?? found));
    else if (isMysql && (outcome === 'applied' || !sameShape(found, known))) changed.set(name, found);
    else changed.set(name, onOrigin ?? known);
  }
  const keyless = [...changed.values()].find((table) => table?.key === null);
  if (keyless != null) throw withoutKey(keyless.name, ddl.sql);
  await checkEngines(destination, database, [...changed.keys()], ddl.sql);
  for (const name of changed.keys()) checkPartitions(before.get(name), there.get(name), ddl.sql);
  return changed;
}

/** Of the rows that a table has behind the statement, which may have been under another name before. */
function formerDefinition(
  known: Table | null | undefined,
  before: Definitions,
  { ddl, effect, database }: { ddl: LoggedDdl; effect: StatementEffect; database: string },
): Table | null | undefined {
  const words = wordsOf(ddl.sql);
  // It converts nothing; what takes the place of another table had its columns before.
  if (words.some((word, at) => word === 'RENAME' && /^TABLES?$/.test(words[at + 1] ?? ''))) return undefined;
  if (known != null || effect.kind !== 'tables' || !renamesTable(ddl.sql)) return known;
  const [altered] = effect.tables;
  if (altered === undefined || !isSameName(altered.schema, database)) return undefined;
  return [...before].find(([name]) => isSameName(name, altered.name))?.[1];
}

/** The statement has run. Where there was no row there is none to convert: everything that the origin had then is here. */
async function checkConversion(
  destination: ServerConnection,
  { schema, name }: Table,
  context: ConversionContext,
): Promise<void> {
  const column = convertedOtherwise(context);
  if (column === undefined) return;
  const rows = await destination.rows(`SELECT 1 FROM ${quoteName(schema)}.${quoteName(name)} LIMIT 1`);
  if (rows.length === 0) return;
  throw new AppError(
    'DDL_CONVERTS_OTHERWISE',
    `the values of ${name}.${column} may have become other ones than on the origin by: ${context.ddl.sql.slice(0, 200)}`,
    { details: { table: name, column } },
  );
}

/** As the validation refuses it. What was so before was accepted there. */
function checkPartitions(known: Table | null | undefined, found: Table | undefined, sql: string): void {
  const padded = found === undefined ? [] : paddedPartitionColumns(found);
  if (found === undefined || padded.length === 0 || (known != null && paddedPartitionColumns(known).length > 0)) return;
  throw new AppError(
    'DDL_PARTITIONED_BY_PADDED_TEXT',
    `table ${found.name} is partitioned by KEY over ${padded.join(', ')} on the destination after: ${sql.slice(0, 200)}`,
    { details: { table: found.name } },
  );
}

/** What was applied in part to a table without transactions stays, and its position does not: after a crash it is applied again. */
async function checkEngines(destination: ServerConnection, database: string, names: string[], sql: string) {
  const found = await destination.rows(
    'SELECT t.TABLE_NAME, t.ENGINE FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE ' +
      `WHERE t.TABLE_SCHEMA = ${quoteText(database)} AND t.TABLE_TYPE = 'BASE TABLE' AND COALESCE(e.TRANSACTIONS, 'NO') <> 'YES'`,
  );
  for (const [name, engine] of found) {
    const table = textOf(name ?? '');
    if (!names.includes(table)) continue;
    throw new AppError(
      'DDL_ENGINE_NOT_TRANSACTIONAL',
      `table ${table} is a ${textOf(engine ?? 'unknown')} table on the destination after: ${sql.slice(0, 200)}`,
      { details: { table } },
    );
  }
}

/**
 * A new table takes from its database what the statement leaves out. Rows are read with the charsets of the destination's: with
 * other ones they would be taken for other texts, most of them without a sign. A table that was converted since on the
 * origin looks the same.
 */
function checkCharsets(found: Table | undefined, onOrigin: Table | undefined, sql: string): void {
  const column = found?.columns.find(({ name, charset }) => {
    const other = onOrigin?.columns.find((one) => one.name === name);
    return other !== undefined && other.charset !== charset;
  });
  if (found === undefined || column === undefined) return;
  const other = onOrigin?.columns.find(({ name }) => name === column.name)?.charset;
  throw new AppError(
    'DDL_CHARSET_DIFFERS',
    `column ${column.name} of ${found.name} has the charset ${column.charset ?? 'binary'} on the destination, and ${other ?? 'binary'} on the origin: ${sql.slice(0, 200)}`,
    { details: { table: found.name, column: column.name } },
  );
}

/** Columns of one type that change places in a later statement would exchange their values until then: no type tells. */
function checkPlaces(found: Table | undefined, onOrigin: Table | undefined): void {
  if (found === undefined || onOrigin === undefined) return;
  const names = ({ columns }: Table) => columns.map(({ name }) => name.toLowerCase());
  if (JSON.stringify(names(found)) === JSON.stringify(names(onOrigin))) return;
  throw new AppError(
    'STREAM_SCHEMA_CHANGED',
    `table ${found.schema}.${found.name} has other columns on the origin by now than at this position, by a later statement`,
    { details: { schema: found.schema, table: found.name } },
  );
}

export function cameWithRows(sql: string): AppError {
  return new AppError('DDL_WITH_ROWS', `the table comes with its rows: ${sql.slice(0, 200)}`, {
    details: { sql: sql.slice(0, 500) },
  });
}

function withoutKey(table: string, sql: string): AppError {
  return new AppError(
    'STREAM_TABLE_WITHOUT_KEY',
    `table ${table} has no primary key, nor a unique key of NOT NULL columns, after: ${sql.slice(0, 200)}`,
    { details: { table } },
  );
}

/** RENAME TABLE, or ALTER TABLE … RENAME [TO | AS] …; not of a column or an index. */
function renamesTable(sql: string): boolean {
  const words = wordsOf(sql);
  return words.some(
    (word, at) => word === 'RENAME' && !['COLUMN', 'INDEX', 'KEY', 'USER'].includes(words[at + 1] ?? ''),
  );
}

/** Empty for what is none. */
function wordsOf(sql: string): string[] {
  return [...sqlTokens(sql)].map(({ kind, text }) => (kind === 'word' ? text.toUpperCase() : ''));
}

async function tablesOf(
  connection: ServerConnection,
  database: string,
  names: Set<string>,
): Promise<Map<string, Table>> {
  const tables = await inspectTables(connection, database, 'all');
  const inAnyCase = new Set([...names].map((name) => name.toLowerCase()));
  return new Map(tables.filter(({ name }) => inAnyCase.has(name.toLowerCase())).map((table) => [table.name, table]));
}

/** Whether rows are read and written in the same way; the display width of integers, which MySQL 8 dropped, is no matter. */
function sameShape(left: Table, right: Table): boolean {
  const shape = ({ columns, key }: Table) =>
    JSON.stringify([
      columns.map((column) => ({ ...column, columnType: column.columnType.replace(/^(\w*int)\(\d+\)/, '$1') })),
      key,
    ]);
  return shape(left) === shape(right);
}

/** As `keepStatements` writes it. */
export function parseDefinition(text: Bytes): Table {
  return { ...tableSchema.parse(JSON.parse(textOf(text))), rowsEstimate: 0, bytes: 0 };
}
