import type { Flavor } from '../../core/gtid.ts';
import { isWord } from '../schema/ddl-lexer.ts';
import { definitionName, parseCreate } from '../schema/create-statement.ts';
import { afterDefinitions } from '../schema/padded-partitions.ts';
import { existingTables } from '../schema/existing-tables.ts';
import { serverFacts } from '../schema/inspect.ts';
import type { Column, Table } from '../schema/table.ts';
import { quoteName, type ServerConnection } from '../server/connection.ts';
import type { Definitions } from './stream-schema.ts';
import type { LoggedQuery } from '../stream/query-event.ts';
import { sqlTokens } from '../stream/sql-lexer.ts';
import { statementEffect } from '../stream/statement-effect.ts';
import { isSameName } from '../stream/stream-scope.ts';

/** Whether an ALTER TABLE may give numbers to rows that are there; the option `AUTO_INCREMENT = n` does not. */
export function mayNumberRows(sql: string): boolean {
  const words = [...sqlTokens(sql)].map(({ kind, text }) =>
    kind === 'word' || text === '=' ? text.toUpperCase() : '',
  );
  return (
    words.includes('ALTER') &&
    words.some((word, at) => word === 'SERIAL' || (word === 'AUTO_INCREMENT' && !/^(=|\d+$)/.test(words[at + 1] ?? '')))
  );
}

export interface NumberingContext {
  ddl: LoggedQuery;
  destination: ServerConnection;
  database: string;
  /** Of the origin, at this position. */
  definitions: Definitions;
  /** Of the origin. */
  flavor: Flavor;
}

/**
 * The table whose rows the statement would number in an order that may be another one on the destination, if there is one.
 * Servers number the rows as they come by them: by the primary key. The rows of the destination are those that the origin had then.
 */
export async function numberedOtherwise(context: NumberingContext): Promise<string | undefined> {
  const { ddl, destination, database, definitions, flavor } = context;
  if (!mayNumberRows(ddl.sql)) return undefined;
  const isSameFamily = (await serverFacts(destination)).flavor === flavor;
  const effect = statementEffect(ddl);
  const named = effect.kind === 'tables' ? effect.tables.map(({ name }) => name) : [...definitions.keys()];
  for (const [name, known] of definitions) {
    if (known === null || !named.some((written) => isSameName(written, name))) continue;
    const [there] = await existingTables(destination, database, [name]);
    if (there === undefined || (isOrderSame(known, isSameFamily) && isOrderSame(there, isSameFamily))) continue;
    if (await hasRowsToNumber(destination, there, ddl.sql)) return name;
  }
  return undefined;
}

function isOrderSame({ key, columns, uniqueKeys, createSql }: Table, isSameFamily: boolean): boolean {
  // Without a primary key the first of the unique ones that may be, in the order in which they were made.
  if (key === null || (key.name !== 'PRIMARY' && uniqueKeys.length > 0)) return false;
  if (isSameFamily) return true;
  const isPartitioned = /\bPARTITION BY\b/.test(afterDefinitions(createSql));
  return !isPartitioned && key.columns.every((at) => isSortedAlike(columns[at]));
}

/** By both families. MariaDB sorts UUIDs by parts of them, and addresses as bytes. */
function isSortedAlike(column: Column | undefined): boolean {
  if (column === undefined || ['uuid', 'inet4', 'inet6'].includes(column.dataType)) return false;
  return column.collation === null || ['enum', 'set'].includes(column.dataType) || column.collation.endsWith('_bin');
}

/** A column that counts already numbers a zero anew. */
async function hasRowsToNumber(destination: ServerConnection, table: Table, sql: string): Promise<boolean> {
  const counted = /\bADD\b/i.test(sql) ? undefined : countedColumn(table);
  const rows = await destination.rows(
    `SELECT 1 FROM ${quoteName(table.schema)}.${quoteName(table.name)}${counted === undefined ? '' : ` WHERE ${quoteName(counted)} = 0`} LIMIT 1`,
  );
  return rows.length > 0;
}

function countedColumn({ createSql }: Table): string | undefined {
  const found = parseCreate(createSql).definitions.find(
    ({ kind, tokens }) => kind === 'column' && tokens.some((token) => isWord(token, 'AUTO_INCREMENT')),
  );
  return found === undefined ? undefined : (definitionName(found) ?? undefined);
}
