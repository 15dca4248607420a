import type { Finding } from '../api.ts';
import type { Table } from '../schema/table.ts';
import { quoteText, type ServerConnection } from '../server/connection.ts';
import { finding, listed } from './finding.ts';

/** What would let a tester's transaction change, or leave, more on the source than its own rows (`reverse: always`). */
export async function checkWriteBack(source: ServerConnection, database: string, tables: Table[]): Promise<Finding[]> {
  const names = new Set(tables.map(({ name }) => name));
  const schema = quoteText(database);
  const engines = await source.select<{ name: string; engine: string | null }>(
    `SELECT TABLE_NAME AS name, ENGINE AS engine FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${schema} AND TABLE_TYPE = 'BASE TABLE'`,
  );
  const keys = await source.select<{ name: string; child: string; parent: string }>(
    `SELECT CONSTRAINT_NAME AS name, TABLE_NAME AS child, REFERENCED_TABLE_NAME AS parent FROM information_schema.REFERENTIAL_CONSTRAINTS ` +
      `WHERE (CONSTRAINT_SCHEMA = ${schema} OR UNIQUE_CONSTRAINT_SCHEMA = ${schema}) AND (DELETE_RULE NOT IN ('RESTRICT', 'NO ACTION') OR UPDATE_RULE NOT IN ('RESTRICT', 'NO ACTION')) ORDER BY TABLE_NAME`,
  );
  const others = engines.filter(({ name, engine }) => names.has(name) && engine?.toUpperCase() !== 'INNODB');
  const cascading = keys.filter(({ child, parent }) => names.has(child) || names.has(parent));
  const reasons = [
    ...(others.length === 0 ? [] : [`not InnoDB: ${listed(others.map(({ name }) => name))}`]),
    ...(cascading.length === 0
      ? []
      : [`cascading: ${listed(cascading.map(({ name, child, parent }) => `${name} (${child} → ${parent})`))}`]),
  ];
  return reasons.length === 0 ? [] : [finding('REVERSE_ALWAYS_IMPOSSIBLE', 'source', null, reasons.join('; '))];
}
