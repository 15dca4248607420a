import { insertColumns, selectExpression } from '../schema/column-sql.ts';
import type { Column, Table } from '../schema/table.ts';
import type { Bytes, ServerConnection } from '../server/connection.ts';
import type { Chunk } from './chunk.ts';
import { fieldRule } from './field-rules.ts';
import { keyColumns, rangePredicate, tableByKey } from './key-range.ts';
import { LoadData, loadStatement } from './load-data.ts';
import type { Loader } from './loader.ts';
import { ReplaceRows } from './replace-rows.ts';

/** How the target takes rows: LOAD DATA LOCAL, or statements where `local_infile` is off. */
export type LoadMethod = 'load_data' | 'replace';

/** What reading and writing one table needs, made once. */
export interface TablePlan {
  select(chunk: Chunk): Bytes;
  load(connection: ServerConnection): Loader;
}

export function tablePlan(table: Table, method: LoadMethod): TablePlan {
  const columns: Column[] = insertColumns(table);
  const rules = columns.map(fieldRule);
  const list = method === 'load_data' ? rules.map(({ select }) => select) : columns.map(selectExpression);
  const select = `SELECT ${list.join(',')} FROM ${tableByKey(table)}`;
  const key = keyColumns(table);
  const statement = loadStatement(
    table.schema,
    table.name,
    columns.map(({ name }) => name),
    rules,
  );
  return {
    select: (chunk) => select + rangePredicate(key, chunk),
    load: (connection) =>
      method === 'load_data'
        ? new LoadData(connection, statement, rules)
        : new ReplaceRows(connection, table.schema, table.name, columns),
  };
}
