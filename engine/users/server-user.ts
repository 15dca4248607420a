import { AppError } from '../../core/errors.ts';
import type { Side } from '../../core/phase.ts';
import type { ServerFacts } from '../api.ts';
import { bytesOf, errnoOf, quoteText, textOf, type Bytes, type ServerConnection } from '../server/connection.ts';
import { SYSTEM_USERS, type AccountName } from '../switch/accounts.ts';
import { parseCreateUser, type CreateUser } from './create-user.ts';
import { parseGrantStatement, type GrantStatement } from './grant-statement.ts';
import { UsersUnreadable } from './users-unreadable.ts';

/** An account, or a role, as its server shows it. */
export interface ServerUser {
  name: AccountName;
  /** Can be granted only (MariaDB), or is granted to somebody (MySQL, where roles are accounts). */
  isRole: boolean;
  /** Null for roles of MariaDB, and where the server's answer is not understood. */
  create: CreateUser | null;
  grants: GrantStatement[];
}

export interface UserServer {
  side: Side;
  connection: ServerConnection;
  flavor: ServerFacts['flavor'];
  /** `%` and `_` in grants on schemas stand for themselves. */
  partialRevokes: boolean;
}

export async function openUserServer({
  side,
  connection,
  flavor,
}: Omit<UserServer, 'partialRevokes'>): Promise<UserServer> {
  const [row] = await connection.rows("SHOW GLOBAL VARIABLES LIKE 'partial_revokes'");
  // Hashes of MySQL 8 have characters that no text can hold; MySQL 5.7 and MariaDB neither have nor need it.
  await connection.write('SET SESSION print_identified_with_as_hex=ON').catch(() => {});
  return { side, connection, flavor, partialRevokes: row?.[1] === 'ON' };
}

/** The server's own administrator: whoever set the target up has one there. */
const ROOT_HOSTS = new Set(['localhost', '127.0.0.1', '::1']);

export function isSystemAccount({ user, host }: AccountName): boolean {
  return SYSTEM_USERS.has(user) || (user === 'root' && ROOT_HOSTS.has(host));
}

/** A role of MariaDB, without a host, is the one of MySQL at any. */
export function accountKey({ user, host }: AccountName): string {
  return JSON.stringify([user, host === '' ? '%' : host.toLowerCase()]);
}

/** For people. */
export function accountLabel({ user, host }: AccountName): string {
  return host === '' ? `'${user}'` : `'${user}'@'${host}'`;
}

/** For statements. Roles of MariaDB have no host. */
export function accountText({ user, host }: AccountName): string {
  return host === '' ? nameText(user) : `${nameText(user)}@${nameText(host)}`;
}

export function nameText(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

const LIST: Record<UserServer['flavor'], Bytes> = {
  mysql: "SELECT User AS user, Host AS host, 'N' AS isRole FROM mysql.user ORDER BY 1, 2",
  mariadb:
    "SELECT User AS user, Host AS host, IF(JSON_VALUE(Priv, '$.is_role') IN ('1', 'true'), 'Y', 'N') AS isRole FROM mysql.global_priv ORDER BY 1, 2",
};

/** Every account but the servers' own and `own`. Rejects with USERS_UNREADABLE where our user may not see them. */
export async function readUsers(server: UserServer, own: ReadonlySet<string>): Promise<ServerUser[]> {
  try {
    const listed = await server.connection.select<{ user: string; host: string; isRole: string }>(LIST[server.flavor]);
    const users: ServerUser[] = [];
    for (const { user, host, isRole } of listed) {
      const name = { user, host };
      if (isSystemAccount(name) || own.has(user) || (user === 'PUBLIC' && host === '')) continue;
      users.push(await showUser(server, name, isRole === 'Y'));
    }
    const granted = new Set(users.flatMap(({ grants }) => rolesOf(grants).map(accountKey)));
    return users.map((user) => ({ ...user, isRole: user.isRole || granted.has(accountKey(user.name)) }));
  } catch (error) {
    throw unreadable(server, error);
  }
}

/** MariaDB lists accounts that it does not show: 1141 no grants, 1133 no account. */
const NOTHING_TO_SHOW: readonly (number | undefined)[] = [1141, 1133];

async function showUser({ connection, flavor }: UserServer, name: AccountName, isRole: boolean): Promise<ServerUser> {
  const account = bytesOf(accountText(name));
  const show = async (sql: Bytes) =>
    connection.rows(sql).catch((error: unknown) => {
      if (NOTHING_TO_SHOW.includes(errnoOf(error))) return [];
      throw error;
    });
  const grants = await show(`SHOW GRANTS FOR ${account}`);
  const [created] = isRole && flavor === 'mariadb' ? [] : await show(`SHOW CREATE USER ${account}`);
  return {
    name,
    isRole,
    create: created?.[0] == null ? null : parseCreateUser(textOf(created[0])),
    grants: grants.map(([text]) => parseGrantStatement(textOf(text ?? ''))),
  };
}

function unreadable({ side, connection }: UserServer, error: unknown): unknown {
  const errno = errnoOf(error);
  if (errno === undefined || errno === 0 || !(error instanceof AppError)) return error;
  const grant = `GRANT SELECT ON mysql.* TO ${nameText(connection.server.user)}`;
  return new UsersUnreadable([{ side, reason: error.message, grant }]);
}

export function rolesOf(grants: readonly GrantStatement[]): (AccountName & { adminOption: boolean })[] {
  return grants.flatMap((grant) =>
    grant.kind === 'roles' ? grant.roles.map((role) => ({ ...role, adminOption: grant.adminOption })) : [],
  );
}

export function defaultRolesOf({ create, grants }: ServerUser): AccountName[] {
  return [
    ...(create?.defaultRoles ?? []),
    ...grants.flatMap((grant) => (grant.kind === 'defaultRoles' ? grant.roles : [])),
  ];
}

/** Accounts that views, routines, triggers and events of the schema run as. */
export async function readDefiners(connection: ServerConnection, database: string): Promise<AccountName[]> {
  const schema = quoteText(database);
  const rows = await connection.select<{ definer: string }>(
    [
      `SELECT DEFINER AS definer FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ${schema}`,
      `SELECT DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ${schema}`,
      `SELECT DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ${schema}`,
      `SELECT DEFINER FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ${schema}`,
    ].join(' UNION '),
  );
  return rows.map(({ definer }) => {
    const at = definer.lastIndexOf('@');
    return { user: definer.slice(0, at), host: definer.slice(at + 1) };
  });
}
