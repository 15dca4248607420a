import { quoteText, type ServerConnection } from '../server/connection.ts';

/** A foreign key between two tables of one database that changes rows of the child when the parent's change. */
export interface CascadingKey {
  name: string;
  child: string;
  parent: string;
  /** In the same order. */
  childColumns: string[];
  parentColumns: string[];
  onDelete: 'cascade' | 'set_null' | null;
  onUpdate: 'cascade' | 'set_null' | null;
}

interface KeyColumn extends Record<string, string | null> {
  name: string;
  child: string;
  parent: string;
  childColumn: string;
  parentColumn: string;
  onDelete: string;
  onUpdate: string;
}

/** Those of `database` as the server has them now. */
export async function cascadingKeys(connection: ServerConnection, database: string): Promise<CascadingKey[]> {
  const schema = quoteText(database);
  const columns = await connection.select<KeyColumn>(
    'SELECT k.CONSTRAINT_NAME AS name, k.TABLE_NAME AS child, k.REFERENCED_TABLE_NAME AS parent, k.COLUMN_NAME AS childColumn, ' +
      'k.REFERENCED_COLUMN_NAME AS parentColumn, r.DELETE_RULE AS onDelete, r.UPDATE_RULE AS onUpdate ' +
      'FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.REFERENTIAL_CONSTRAINTS r ' +
      'ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME ' +
      `WHERE k.CONSTRAINT_SCHEMA = ${schema} AND r.CONSTRAINT_SCHEMA = ${schema} AND k.REFERENCED_TABLE_SCHEMA = ${schema} ` +
      'ORDER BY k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION',
  );
  const keys = new Map<string, CascadingKey>();
  for (const { name, child, parent, childColumn, parentColumn, onDelete, onUpdate } of columns) {
    const id = JSON.stringify([child, name]);
    const key = keys.get(id) ?? {
      name,
      child,
      parent,
      childColumns: [],
      parentColumns: [],
      onDelete: actionOf(onDelete),
      onUpdate: actionOf(onUpdate),
    };
    key.childColumns.push(childColumn);
    key.parentColumns.push(parentColumn);
    keys.set(id, key);
  }
  return [...keys.values()].filter(({ onDelete, onUpdate }) => onDelete !== null || onUpdate !== null);
}

/** Columns that a statement changes with any other one unless it names them (ON UPDATE CURRENT_TIMESTAMP), by table. */
export async function selfUpdatingColumns(
  connection: ServerConnection,
  database: string,
): Promise<Map<string, string[]>> {
  const columns = await connection.select<{ table: string; column: string }>(
    `SELECT TABLE_NAME AS \`table\`, COLUMN_NAME AS \`column\` FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ${quoteText(database)} AND EXTRA LIKE '%on update%'`,
  );
  const byTable = Map.groupBy(columns, ({ table }) => table);
  return new Map([...byTable].map(([table, found]) => [table, found.map(({ column }) => column)]));
}

/** SET DEFAULT is refused by InnoDB. */
function actionOf(rule: string): CascadingKey['onDelete'] {
  if (rule === 'CASCADE') return 'cascade';
  return rule === 'SET NULL' ? 'set_null' : null;
}

/**
 * Whether the server writes to its binary log what its foreign keys change. Since 9.6 the SQL layer of MySQL carries cascades
 * out and logs them, unless `innodb_native_foreign_keys` gives them back to InnoDB; MariaDB never does.
 */
export function logsCascades(version: string, nativeForeignKeys: string | undefined): boolean {
  const [major = 0, minor = 0] = /^(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? [];
  const isSince96 = !/mariadb/i.test(version) && (major > 9 || (major === 9 && minor >= 6));
  return isSince96 && nativeForeignKeys !== 'ON' && nativeForeignKeys !== '1';
}

/** The same, of a server that is asked. */
export async function serverLogsCascades(connection: ServerConnection): Promise<boolean> {
  const version = await connection.selectOne<{ version: string }>('SELECT VERSION() AS version');
  const native = await connection.selectOne<{ Value: string }>(
    "SHOW GLOBAL VARIABLES LIKE 'innodb_native_foreign_keys'",
  );
  return logsCascades(version?.version ?? '', native?.Value);
}
