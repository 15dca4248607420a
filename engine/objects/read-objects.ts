import { quoteName, quoteText, textOf, type Bytes, type ServerConnection } from '../server/connection.ts';
import { FENCE_TRIGGER_PREFIX } from '../switch/fence.ts';
import type { ActiveObjects, StoredObject } from './stored-object.ts';

/** One side of an import. */
export interface ObjectPlace {
  /** With `multiStatements` where something is to be created. */
  connection: ServerConnection;
  database: string;
  tables: readonly string[];
}

export async function readActiveObjects(place: ObjectPlace): Promise<ActiveObjects> {
  return { triggers: await readTriggers(place), events: await readEvents(place.connection, place.database) };
}

/** Those on the imported tables, in the order in which they fire, without those of our fence. */
export async function readTriggers({ connection, database, tables }: ObjectPlace): Promise<StoredObject[]> {
  const imported = new Set(tables);
  const found = await connection.select<{ name: string; tableName: string }>(
    `SELECT TRIGGER_NAME AS name, EVENT_OBJECT_TABLE AS tableName FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ${quoteText(database)} ` +
      `ORDER BY EVENT_OBJECT_TABLE, FIELD(ACTION_TIMING, 'BEFORE', 'AFTER'), EVENT_MANIPULATION, ACTION_ORDER`,
  );
  const triggers: StoredObject[] = [];
  for (const { name, tableName } of found) {
    if (!imported.has(tableName) || name.startsWith(FENCE_TRIGGER_PREFIX)) continue;
    triggers.push({ ...(await show(connection, database, 'trigger', name)), table: tableName });
  }
  return triggers;
}

export async function readEvents(connection: ServerConnection, database: string): Promise<StoredObject[]> {
  const rows = await connection.select<{ name: string; definer: string; status: string }>(
    `SELECT EVENT_NAME AS name, DEFINER AS definer, STATUS AS status FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ${quoteText(database)} ORDER BY 1`,
  );
  const events: StoredObject[] = [];
  for (const { name, definer, status } of rows) {
    const shown = await show(connection, database, 'event', name);
    const at = definer.lastIndexOf('@');
    const account = { user: definer.slice(0, at), host: definer.slice(at + 1) };
    events.push({ ...shown, definer: account, enabled: status === 'ENABLED' });
  }
  return events;
}

export type PassiveObject = StoredObject & { kind: 'view' | 'function' | 'procedure' };

/** Views and routines: what has no effect of its own. */
export async function readPassiveObjects(connection: ServerConnection, database: string): Promise<PassiveObject[]> {
  const schema = quoteText(database);
  const routines = await connection.select<{ name: string; kind: string }>(
    `SELECT ROUTINE_NAME AS name, ROUTINE_TYPE AS kind FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ${schema} AND ROUTINE_TYPE IN ('FUNCTION', 'PROCEDURE') ORDER BY 2, 1`,
  );
  const views = await connection.select<{ name: string }>(
    `SELECT TABLE_NAME AS name FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ${schema} ORDER BY 1`,
  );
  const objects: PassiveObject[] = [];
  for (const { name, kind } of routines)
    objects.push(await show(connection, database, kind === 'FUNCTION' ? 'function' : 'procedure', name));
  for (const { name } of views) objects.push(await show(connection, database, 'view', name));
  return objects;
}

/** What SHOW CREATE says; the columns' names differ by kind. */
const DEFINITION_COLUMN: Record<StoredObject['kind'], string> = {
  trigger: 'sql original statement',
  event: 'create event',
  view: 'create view',
  function: 'create function',
  procedure: 'create procedure',
};

async function show<Kind extends StoredObject['kind']>(
  connection: ServerConnection,
  database: string,
  kind: Kind,
  name: string,
): Promise<StoredObject & { kind: Kind }> {
  const [row] = await connection.named(`SHOW CREATE ${kind.toUpperCase()} ${quoteName(database)}.${quoteName(name)}`);
  const column = (wanted: string): Bytes | null =>
    Object.entries(row ?? {}).find(([key]) => key.toLowerCase() === wanted)?.[1] ?? null;
  return {
    kind,
    name,
    table: null,
    // Null where our user may not see it. MySQL keeps the semicolon that came behind it.
    createSql: (column(DEFINITION_COLUMN[kind]) ?? '').replace(/[;\s]+$/, ''),
    sqlMode: kind === 'view' ? null : (column('sql_mode') ?? ''),
    charsetClient: textOf(column('character_set_client') ?? 'utf8mb4'),
    collationConnection: textOf(column('collation_connection') ?? 'utf8mb4_general_ci'),
    definer: null,
    timeZone: column('time_zone'),
    enabled: true,
  };
}
