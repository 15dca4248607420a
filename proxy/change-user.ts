import { buildErr } from '../core/wire/err-packet.ts';
import { buildOk } from '../core/wire/ok-packet.ts';
import { parseChangeUser, type ChangeUser } from '../core/wire/change-user.ts';
import type { LoginProfile } from './backend-connection.ts';
import { CAPTURE_PLUGIN, authenticateClient } from './client-authentication.ts';
import { CLIENT_ERROR, ClientError } from './client-error.ts';
import type { CredentialCache } from './credentials.ts';
import { MessageStream } from './message-stream.ts';
import { refusalReason } from './refusal-reason.ts';
import { splitRoleSuffix } from './role-suffix.ts';
import { afterLogin, loginErrorOf, type ServerLogins } from './server-logins.ts';
import { HANDSHAKE_COLLATION_MAX, setCollation } from './session-carrier.ts';
import type { ProxyMetrics } from './session-metrics.ts';
import type { Session } from './session.ts';
import type { TlsMaterial } from './tls-material.ts';
import type { UserDirectory } from './user-directory.ts';

export interface ChangeUserContext {
  rsa: TlsMaterial['rsa'];
  users: UserDirectory;
  metrics: ProxyMetrics;
  servers: ServerLogins;
  cache: CredentialCache;
  /** For the client's answers. */
  timeoutMs: number;
}

const LOGIN_BYTES_MAX = 1 << 20;

/** COM_CHANGE_USER: the password is asked for again; the session goes on with a new login. */
export async function changeUser(
  session: Session,
  payload: Buffer,
  { rsa, users, metrics, servers, cache, timeoutMs }: ChangeUserContext,
): Promise<void> {
  const ahead = session.takeClient();
  const stream = new MessageStream(session.client, { maxBytes: LOGIN_BYTES_MAX, sequence: 0 });
  if (ahead.length > 0) stream.unread(ahead);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    session.client.destroy();
  }, timeoutMs);
  try {
    const { capabilities } = session.profile;
    const request = parseChangeUser(payload, capabilities);
    const { database, role } = splitRoleSuffix(request.database ?? Buffer.alloc(0));
    if (role !== null && role !== session.role) throw new ClientError(CLIENT_ERROR.otherRole());
    const { credentials, serverLogin } = await authenticateClient({
      stream,
      user: request.user,
      // Asked anew, unless there is no password: what was sent answers the scramble of the first login.
      plugin: hasNoPassword(request) ? CAPTURE_PLUGIN : null,
      response: request.authResponse,
      scramble: Buffer.alloc(20, 1),
      isSecure: session.isSecure,
      rsa,
      cache,
      users,
    });
    clearTimeout(timer);
    const collation = request.collation ?? session.profile.collation;
    const { attributes } = request;
    const profile: LoginProfile = { ...session.profile, credentials, serverLogin, collation, attributes };
    const backend = await servers.logIn(session.role, { client: session.client, profile, database });
    if (collation > HANDSHAKE_COLLATION_MAX) await setCollation(backend, collation);
    stream.write(buildOk({ statusFlags: 2 }));
    session.adopt(backend, { profile: afterLogin(profile), database: database?.toString('utf8') ?? null });
    session.returnClient(stream.detach());
  } catch (error) {
    metrics.onRefused(refusalReason(error, { timedOut }));
    const packet = loginErrorOf(error) ?? CLIENT_ERROR.badHandshake();
    stream.write(buildErr(packet));
    session.end();
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Nothing, in answer to a plugin that proves a password with something. Not with ours: MariaDB's connector for Node
 * sends nothing there, since it waits to be asked.
 */
function hasNoPassword({ authResponse, authPlugin }: ChangeUser): boolean {
  return authResponse.length === 0 && (authPlugin === null || authPlugin === 'mysql_native_password');
}
