import type { Finding } from '../api.ts';
import { quoteText, type Bytes, type ServerConnection } from '../server/connection.ts';
import { finding, listed } from './finding.ts';
import type { FindingCode } from './finding-table.ts';

/** What belongs to the database but is no base table: named, since it is not imported. */
export async function checkObjects(
  source: ServerConnection,
  database: string,
  tables: readonly string[],
): Promise<Finding[]> {
  const schema = quoteText(database);
  const imported = new Set(tables);
  const others = await named(
    source,
    `SELECT TABLE_NAME AS name, TABLE_TYPE AS detail FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${schema} AND TABLE_TYPE <> 'BASE TABLE'`,
  );
  const triggers = await named(
    source,
    `SELECT TRIGGER_NAME AS name, EVENT_OBJECT_TABLE AS detail FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ${schema}`,
  );
  const routines = await named(
    source,
    `SELECT ROUTINE_NAME AS name, LOWER(ROUTINE_TYPE) AS detail FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ${schema}`,
  );
  const events = await named(
    source,
    `SELECT EVENT_NAME AS name, LOWER(STATUS) AS detail FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ${schema}`,
  );
  const isView = ({ detail }: Named) => detail.endsWith('VIEW');
  return [
    ...summary(
      'VIEWS',
      others.filter(isView).map(({ name }) => name),
    ),
    ...summary(
      'NOT_IMPORTABLE',
      others.filter((other) => !isView(other)).map(({ name, detail }) => `${name} (${detail.toLowerCase()})`),
    ),
    ...summary(
      'TRIGGERS',
      triggers.filter(({ detail }) => imported.has(detail)).map(({ name, detail }) => `${name} on ${detail}`),
    ),
    ...summary(
      'ROUTINES',
      routines.map(({ name, detail }) => `${detail} ${name}`),
    ),
    ...summary(
      'EVENTS',
      events.map(({ name, detail }) => `${name} (${detail})`),
    ),
  ];
}

interface Named {
  name: string;
  detail: string;
}

async function named(source: ServerConnection, sql: Bytes): Promise<Named[]> {
  const rows = await source.select<{ name: string; detail: string | null }>(`${sql} ORDER BY 1`);
  return rows.map(({ name, detail }) => ({ name, detail: detail ?? '' }));
}

function summary(code: FindingCode, names: string[]): Finding[] {
  return names.length === 0 ? [] : [finding(code, 'source', null, listed(names))];
}
