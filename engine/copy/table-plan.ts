import { insertColumns, selectExpression } from '../schema/column-sql.ts';
import type { Column, Table } from '../schema/table.ts';
import type { Bytes, ServerConnection } from '../server/connection.ts';
import type { Chunk } from './chunk.ts';
import { fieldRule } from './field-rules.ts';
import { keyColumns, rangePredicate, tableByKey } from './key-range.ts';
import { LoadData, loadStatement } from './load-data.ts';
import type { Loader } from './loader.ts';
import { InsertRows, type InsertOptions } from './insert-rows.ts';

/** How the target takes rows: LOAD DATA LOCAL; or statements, where `local_infile` is off or a row is looked for. */
export type LoadMethod = 'load_data' | 'insert';

/** What reading and writing one table needs, made once. */
export interface TablePlan {
  select(chunk: Chunk): Bytes;
  load(writer: ServerConnection, reader: ServerConnection): Loader;
}

export function tablePlan(
  table: Table,
  method: LoadMethod,
  limits: Pick<InsertOptions, 'packetBytesMax' | 'turns'>,
): TablePlan {
  const columns: Column[] = insertColumns(table);
  const key = keyColumns(table);
  const from = `FROM ${tableByKey(table)}`;
  if (method === 'insert') {
    // The key once more: it may be generated, and then is no column to insert.
    const select = `SELECT ${[...columns, ...key].map(selectExpression).join(',')} ${from}`;
    return {
      select: (chunk) => select + rangePredicate(key, chunk),
      load: (writer, reader) => new InsertRows(writer, { table, reader, ...limits }),
    };
  }
  const rules = columns.map(fieldRule);
  const select = `SELECT ${rules.map((rule) => rule.select).join(',')} ${from}`;
  const names = columns.map(({ name }) => name);
  const statement = loadStatement(table.schema, table.name, names, rules);
  return {
    select: (chunk) => select + rangePredicate(key, chunk),
    load: (writer) => new LoadData(writer, statement, rules),
  };
}
