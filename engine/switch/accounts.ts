import type { ServerFacts } from '../api.ts';
import { matchesSchema } from '../preflight/grants.ts';
import { bytesOf, escapeBytes, type Bytes, type ServerConnection } from '../server/connection.ts';
import { SIDECAR_SCHEMA } from '../sidecar.ts';

export interface AccountName {
  user: string;
  host: string;
}

export const SYSTEM_SCHEMAS: readonly string[] = [
  'mysql',
  'information_schema',
  'performance_schema',
  'sys',
  SIDECAR_SCHEMA,
];

/** The servers' and the providers' own: never an application's, and always there. */
export const SYSTEM_USERS: ReadonlySet<string> = new Set([
  'mysql.sys',
  'mysql.session',
  'mysql.infoschema',
  'mariadb.sys',
  'rdsadmin',
  'rdsrepladmin',
  'rdsproxyadmin',
  'azure_superuser',
  'cloudsqladmin',
]);

/** Privileges that end in changed rows, on their own or through a routine, a trigger or an event. */
const WRITING = ['INSERT', 'UPDATE', 'DELETE', 'CREATE', 'DROP', 'ALTER', 'INDEX', 'TRIGGER', 'EVENT', 'EXECUTE'];
/** Whoever has one of these runs the server, and could undo any fence. */
const ADMINISTERING = [
  'SUPER',
  'CONNECTION_ADMIN',
  'CONNECTION ADMIN',
  'READ_ONLY ADMIN',
  'READ ONLY ADMIN',
  'SYSTEM_USER',
  'CREATE USER',
];
const PASSING_READ_ONLY = ['SUPER', 'CONNECTION_ADMIN', 'READ_ONLY ADMIN', 'READ ONLY ADMIN'];

interface Privilege {
  name: string;
  /** A pattern as in GRANT; null is the whole server. */
  schema: string | null;
}

/** One account with what it may do, its roles included (whether active or not: it can activate them). */
export class Account {
  readonly name: AccountName;
  readonly locked: boolean;
  readonly #privileges: Privilege[];

  constructor(name: AccountName, locked: boolean, privileges: Privilege[]) {
    this.name = name;
    this.locked = locked;
    this.#privileges = privileges;
  }

  get label(): string {
    return `'${this.name.user}'@'${this.name.host}'`;
  }

  get isAdministrator(): boolean {
    return this.#onServer(ADMINISTERING);
  }

  get passesReadOnly(): boolean {
    return this.#onServer(PASSING_READ_ONLY);
  }

  mayWrite(schema: string): boolean {
    return this.#privileges.some((privilege) => WRITING.includes(privilege.name) && covers(privilege, schema));
  }

  /** Granted something on the schema itself, not only on the whole server. */
  isNamedIn(schema: string): boolean {
    return this.#privileges.some((privilege) => privilege.schema !== null && covers(privilege, schema));
  }

  #onServer(names: string[]): boolean {
    return this.#privileges.some(({ name, schema }) => schema === null && names.includes(name));
  }
}

function covers({ schema }: Privilege, name: string): boolean {
  return schema === null || matchesSchema(schema, name);
}

export function accountSql({ user, host }: AccountName): Bytes {
  return `'${escapeBytes(bytesOf(user))}'@'${escapeBytes(bytesOf(host))}'`;
}

/**
 * Every account that can log in, the servers' own left out; null where our own user may not read them all: the
 * information_schema shows no more than its own then, without a word.
 */
export async function readAccounts(
  connection: ServerConnection,
  flavor: ServerFacts['flavor'],
): Promise<Account[] | null> {
  try {
    const rows = await connection.select<{ user: string; host: string; locked: string; isRole: string }>(
      ACCOUNTS[flavor],
    );
    const edges = await connection.select<{ grantee: string; role: string }>(ROLES[flavor]);
    const own = await readPrivileges(connection);
    const logins = rows.filter(({ user, isRole }) => isRole !== 'Y' && !SYSTEM_USERS.has(user));
    return logins.map(({ user, host, locked }) => {
      const privileges = withRoles(granteeOf(user, host), edges).flatMap((grantee) => own.get(grantee) ?? []);
      return new Account({ user, host }, locked === 'Y', privileges);
    });
  } catch {
    return null;
  }
}

/** Application schemas on the server other than `database`. */
export async function otherSchemas(connection: ServerConnection, database: string): Promise<string[]> {
  const rows = await connection.select<{ name: string }>('SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA');
  return rows
    .map(({ name }) => name)
    .filter((name) => name !== database && !SYSTEM_SCHEMAS.includes(name.toLowerCase()));
}

// Roles of MySQL are accounts (locked ones); a role that somebody could log in as counts as what it is: an account.
const ACCOUNTS = {
  mysql: "SELECT User AS user, Host AS host, account_locked AS locked, 'N' AS isRole FROM mysql.user",
  mariadb:
    "SELECT User AS user, Host AS host, IF(JSON_VALUE(Priv, '$.account_locked') IN ('1', 'true'), 'Y', 'N') AS locked, " +
    "IF(JSON_VALUE(Priv, '$.is_role') IN ('1', 'true'), 'Y', 'N') AS isRole FROM mysql.global_priv",
};

const ROLES = {
  mysql:
    "SELECT CONCAT('''', TO_USER, '''@''', TO_HOST, '''') AS grantee, CONCAT('''', FROM_USER, '''@''', FROM_HOST, '''') AS role FROM mysql.role_edges",
  mariadb:
    "SELECT CONCAT('''', User, '''@''', Host, '''') AS grantee, CONCAT('''', Role, '''@''''') AS role FROM mysql.roles_mapping",
};

const PRIVILEGES = [
  'SELECT GRANTEE AS grantee, PRIVILEGE_TYPE AS name, NULL AS pattern FROM information_schema.USER_PRIVILEGES',
  'SELECT GRANTEE, PRIVILEGE_TYPE, TABLE_SCHEMA FROM information_schema.SCHEMA_PRIVILEGES',
  // Grants on tables name a schema, they are no patterns: the wildcards in it stand for themselves.
  "SELECT DISTINCT GRANTEE, PRIVILEGE_TYPE, REPLACE(REPLACE(TABLE_SCHEMA, '_', '\\\\_'), '%', '\\\\%') FROM information_schema.TABLE_PRIVILEGES",
  "SELECT DISTINCT GRANTEE, PRIVILEGE_TYPE, REPLACE(REPLACE(TABLE_SCHEMA, '_', '\\\\_'), '%', '\\\\%') FROM information_schema.COLUMN_PRIVILEGES",
].join(' UNION ALL ');

async function readPrivileges(connection: ServerConnection): Promise<Map<string, Privilege[]>> {
  const granted = new Map<string, Privilege[]>();
  for (const row of await connection.select<{ grantee: string; name: string; pattern: string | null }>(PRIVILEGES)) {
    const privileges = granted.get(row.grantee) ?? [];
    privileges.push({ name: row.name.toUpperCase(), schema: row.pattern });
    granted.set(row.grantee, privileges);
  }
  return granted;
}

/** As the information_schema writes it: nothing escaped. */
function granteeOf(user: string, host: string): string {
  return `'${user}'@'${host}'`;
}

function withRoles(grantee: string, edges: { grantee: string; role: string }[]): string[] {
  const found = new Set([grantee]);
  // A set hands out what is added while it is walked.
  for (const member of found) for (const edge of edges) if (edge.grantee === member) found.add(edge.role);
  return [...found];
}
