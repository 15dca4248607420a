import type { KeyObject } from 'node:crypto';
import { CACHING_SHA2, buildAuthSwitch, buildMoreData } from '../core/wire/auth-exchange.ts';
import { decryptPassword, newScramble, withoutNul } from '../core/wire/scramble.ts';
import { CLIENT_ERROR, ClientError } from './client-error.ts';
import type { CredentialCache, Credentials } from './credentials.ts';
import type { MessageStream } from './message-stream.ts';

export const CAPTURE_PLUGIN = 'caching_sha2_password';

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
}

/**
 * Plays the server of caching_sha2_password and always asks for full authentication, so that the client tells its
 * password, under TLS or under our RSA key. Whether it is right is decided by the database server.
 * Source: MySQL internals, "Caching_sha2_password information".
 */
export async function authenticateClient(options: ClientAuthenticationOptions): Promise<Credentials> {
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
