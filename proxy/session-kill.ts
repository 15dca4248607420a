import type { LocateRequest, SessionLocation } from '../core/control/protocol.ts';
import type { Side } from '../core/phase.ts';
import type { Role } from '../core/routing-record.ts';
import { buildErr } from '../core/wire/err-packet.ts';
import { buildOk } from '../core/wire/ok-packet.ts';
import { ownQuery, runCommands } from './backend-commands.ts';
import { BackendConnection, isSameDestination, type Destination, type LoginProfile } from './backend-connection.ts';
import { CLIENT_ERROR, ClientError } from './client-error.ts';
import { isProxyConnectionId } from './connection-ids.ts';

/** A KILL as the client meant it: the id is one of a greeting of ours, or one that a server gave. */
export interface KillRequest {
  id: number;
  /** The statement up to the id. */
  statement: string;
}

export interface KillContext {
  destinationOn: (side: Side, role: Role) => Destination | null;
  /** Of the session that kills. */
  backend: BackendConnection;
  profile: LoginProfile;
  /** Among all workers. */
  locate: (sought: LocateRequest) => Promise<SessionLocation | null>;
}

/** ER_NO_SUCH_THREAD */
const UNKNOWN_THREAD = 1094;

/** A victim hardly moves twice meanwhile. */
const TRIES_MAX = 3;

/**
 * Runs a KILL where its victim is; the server there decides whether the user may. An id of ours names a session
 * wherever it went. A server's own id (CONNECTION_ID(), SHOW PROCESSLIST) is first taken as what it is on the server
 * of the killing session; when there is none, it may be the former id of a session that was moved. Returns the answer.
 */
export async function killSession({ id, statement }: KillRequest, context: KillContext): Promise<Buffer> {
  const { backend } = context;
  try {
    if (!isProxyConnectionId(id)) {
      const answer = await runKill(backend, `${statement} ${id}`);
      if (answer?.packet.code !== UNKNOWN_THREAD) return answerOf(answer);
    }
    const killed = /\bQUERY\b/i.test(statement) ? 'query' : 'connection';
    let location = await context.locate({ id });
    for (let tries = 1; location !== null; tries += 1) {
      const destination = context.destinationOn(location.side, location.role);
      if (destination === null) break;
      const answer = await killOn(destination, `${statement} ${location.backendId}`, context);
      const now = await context.locate(answer === null ? { id, killed } : { id });
      // Where it moved meanwhile, nothing runs on the connection that it left.
      const hasMoved = now !== null && (now.backendId !== location.backendId || now.side !== location.side);
      if (!hasMoved || tries === TRIES_MAX) return answerOf(answer);
      location = now;
    }
    return buildErr(CLIENT_ERROR.unknownThread(String(id)));
  } catch (error) {
    if (error instanceof ClientError) return buildErr(error.packet);
    throw error;
  }
}

/** Over the killing session's own connection where the victim is on the same server. */
async function killOn(
  destination: Destination,
  sql: string,
  { backend, profile }: Pick<KillContext, 'backend' | 'profile'>,
): Promise<ClientError | null> {
  if (isSameDestination(destination, backend.destination)) return runKill(backend, sql);
  const other = await BackendConnection.open(destination, profile, null);
  try {
    return await runKill(other, sql);
  } finally {
    other.quit();
  }
}

async function runKill(connection: BackendConnection, sql: string): Promise<ClientError | null> {
  const [result] = await runCommands(connection, [ownQuery(connection, sql)]);
  connection.releaseStream();
  return result?.kind === 'error' ? result.error : null;
}

function answerOf(error: ClientError | null): Buffer {
  return error === null ? buildOk({ statusFlags: 2 }) : buildErr(error.packet);
}
