import type { ServerConnection } from '../server/connection.ts';

export interface ServerSession {
  /** The connection id, as the server counts it. */
  id: number;
  user: string;
  /** Where from, without the port. */
  host: string;
  schema: string | null;
  /** As the client calls itself; null where the server does not tell. */
  program: string | null;
}

type ProcessRow = { Id: string; User: string; Host: string; db: string | null; Command: string };

const INTERNAL_USERS = new Set(['system user', 'event_scheduler', 'unauthenticated user', 'unauthenticated']);
const INTERNAL_COMMANDS = /^(Daemon|Binlog Dump|Slave|Replica)/i;

/** Sessions of clients, other than servers that replicate. Without PROCESS only those of our own user. */
export async function readSessions(connection: ServerConnection): Promise<ServerSession[]> {
  // Not information_schema.PROCESSLIST: MySQL fails to make it while a statement with a character beyond utf8mb3 runs (3854).
  const rows = await connection.select<ProcessRow>('SHOW PROCESSLIST');
  const programs = await readPrograms(connection);
  return rows
    .filter(({ User, Command }) => !INTERNAL_USERS.has(User) && !INTERNAL_COMMANDS.test(Command))
    .map(({ Id, User, Host, db }) => ({
      id: Number(Id),
      user: User,
      host: Host.replace(/:\d+$/, ''),
      schema: db,
      program: programs.get(Id) ?? null,
    }));
}

async function readPrograms(connection: ServerConnection): Promise<Map<string, string | null>> {
  // Off in MariaDB by default, and not everybody may read it: then nobody has a program.
  const rows = await connection
    .select<{ id: string; program: string | null }>(
      "SELECT PROCESSLIST_ID AS id, ATTR_VALUE AS program FROM performance_schema.session_connect_attrs WHERE ATTR_NAME='program_name'",
    )
    .catch(() => []);
  return new Map(rows.map(({ id, program }) => [id, program]));
}
