import type { Finding } from '../api.ts';
import { quoteName, quoteText, type ServerConnection } from '../server/connection.ts';
import { quoted } from '../schema/target-ddl.ts';
import { finding } from './finding.ts';

/** Tables of the target that are in the way. */
export async function checkTargetTables(
  target: ServerConnection,
  database: string,
  tables: readonly string[],
): Promise<Finding[]> {
  const rows = await target.select<{ name: string; kind: string }>(
    `SELECT TABLE_NAME AS name, TABLE_TYPE AS kind FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${quoteText(database)} ORDER BY TABLE_NAME`,
  );
  const wanted = new Set(tables.map((name) => name.toLowerCase()));
  const findings: Finding[] = [];
  for (const { name, kind } of rows.filter((row) => wanted.has(row.name.toLowerCase()))) {
    const filled = (await target.rows(`SELECT 1 FROM ${quoteName(database)}.${quoteName(name)} LIMIT 1`)).length > 0;
    const drop = `DROP ${kind === 'VIEW' ? 'VIEW' : 'TABLE'} ${quoted(database)}.${quoted(name)};`;
    findings.push(
      finding(
        'TARGET_TABLE_EXISTS',
        'target',
        name,
        `the target has ${database}.${name} already, ${filled ? 'with rows' : 'empty'}`,
        `If it is not needed, on the target: ${drop}`,
      ),
    );
  }
  return findings;
}
