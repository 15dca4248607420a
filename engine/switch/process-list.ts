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

const INTERNAL_USERS = new Set(['system user', 'event_scheduler', 'unauthenticated user', 'unauthenticated']);
const INTERNAL_COMMANDS = /^(Daemon|Binlog Dump|Slave|Replica)/i;

/** Sessions of clients, other than servers that replicate. Without PROCESS only those of our own user. */
export async function readSessions(connection: ServerConnection): Promise<ServerSession[]> {
  const rows = await connection.select<{ ID: string; USER: string; HOST: string; DB: string | null; COMMAND: string }>(
    'SELECT ID, USER, HOST, DB, COMMAND FROM information_schema.PROCESSLIST',
  );
  const programs = await readPrograms(connection);
  return rows
    .filter(({ USER, COMMAND }) => !INTERNAL_USERS.has(USER) && !INTERNAL_COMMANDS.test(COMMAND))
    .map(({ ID, USER, HOST, DB }) => ({
      id: Number(ID),
      user: USER,
      host: HOST.replace(/:\d+$/, ''),
      schema: DB,
      program: programs.get(ID) ?? null,
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
