import type { KeyObject } from 'node:crypto';
import { CACHING_SHA2, buildAuthSwitch, buildMoreData } from '../core/wire/auth-exchange.ts';
import { decryptPassword, newScramble, withoutNul } from '../core/wire/scramble.ts';
import { CLIENT_ERROR, ClientError } from './client-error.ts';
import type { CredentialCache, Credentials } from './credentials.ts';
import type { MessageStream } from './message-stream.ts';
import { loginOf, proves, type ListedUser, type ServerLogin, type UserDirectory } from './user-directory.ts';

export const CAPTURE_PLUGIN = 'caching_sha2_password';
const NATIVE_PLUGIN = 'mysql_native_password';

export interface ClientAuthenticationOptions {
  stream: MessageStream;
  user: Buffer;
  /** What the client sent first, and what it answered to. */
  plugin: string | null;
  response: Buffer;
  scramble: Buffer;
  /** Whether a password may be sent as it is. */
  isSecure: boolean;
  rsa: { privateKey: KeyObject; publicKeyPem: Buffer };
  cache: CredentialCache;
  users: UserDirectory;
}

export interface ClientIdentity {
  credentials: Credentials;
  serverLogin: ServerLogin;
}

/** Learns who the client is, in one of three ways: see `ServerLogin`. */
export async function authenticateClient(options: ClientAuthenticationOptions): Promise<ClientIdentity> {
  const { users, user, stream } = options;
  const listed = users.find(user);
  if (listed !== undefined) return { credentials: await checkListed(options, listed), serverLogin: loginOf(listed) };
  if (users.isRelayed(user)) {
    const answer = async (challenge: Buffer): Promise<Buffer> => {
      stream.write(challenge);
      return Buffer.from(await stream.next());
    };
    return { credentials: { user, password: Buffer.alloc(0) }, serverLogin: { kind: 'relayed', answer } };
  }
  return { credentials: await capture(options), serverLogin: { kind: 'captured' } };
}

/** The proxy knows the password: a client of either plugin can prove that it does too. */
async function checkListed(options: ClientAuthenticationOptions, listed: ListedUser): Promise<Credentials> {
  const { stream, user } = options;
  let { plugin, scramble, response } = options;
  if (plugin !== CAPTURE_PLUGIN && plugin !== NATIVE_PLUGIN) {
    plugin = CAPTURE_PLUGIN;
    scramble = newScramble();
    stream.write(buildAuthSwitch({ plugin, scramble }));
    response = await stream.next();
  }
  if (response.length === 1 && response[0] === 0) response = Buffer.alloc(0);
  if (!proves(listed, { plugin, scramble, response })) {
    throw new ClientError(CLIENT_ERROR.accessDenied(user.toString('utf8')));
  }
  if (plugin === CAPTURE_PLUGIN && response.length > 0)
    stream.write(buildMoreData(Buffer.of(CACHING_SHA2.FAST_SUCCESS)));
  return { user, password: Buffer.from(listed.password, 'utf8') };
}

/**
 * Plays the server of caching_sha2_password and always asks for full authentication, so that the client tells its
 * password, under TLS or under our RSA key. Whether it is right is decided by the database server.
 * Source: MySQL internals, "Caching_sha2_password information".
 */
async function capture(options: ClientAuthenticationOptions): Promise<Credentials> {
  const { stream, user, plugin, cache, isSecure, rsa } = options;
  let { response, scramble } = options;
  if (plugin !== CAPTURE_PLUGIN) {
    scramble = newScramble();
    stream.write(buildAuthSwitch({ plugin: CAPTURE_PLUGIN, scramble }));
    response = await stream.next();
  }
  if (isEmptyPassword(response)) return { user, password: Buffer.alloc(0) };
  const known = cache.match(user, scramble, response);
  if (known !== undefined) {
    stream.write(buildMoreData(Buffer.of(CACHING_SHA2.FAST_SUCCESS)));
    return { user, password: known };
  }
  stream.write(buildMoreData(Buffer.of(CACHING_SHA2.FULL_AUTHENTICATION)));
  let answer = await stream.next();
  if (isSecure) return { user, password: Buffer.from(withoutNul(answer)) };
  if (answer.length === 1 && answer[0] === CACHING_SHA2.REQUEST_PUBLIC_KEY) {
    stream.write(buildMoreData(rsa.publicKeyPem));
    answer = await stream.next();
  }
  try {
    return { user, password: Buffer.from(decryptPassword(answer, scramble, rsa.privateKey)) };
  } catch (cause) {
    throw new ClientError(CLIENT_ERROR.accessDenied(user.toString('utf8')), { cause });
  }
}

/** Clients send nothing, or one NUL, for an empty password. */
function isEmptyPassword(response: Buffer): boolean {
  return response.length === 0 || (response.length === 1 && response[0] === 0);
}
