import { isCachingSha2ResponseTo, isNativeResponseTo } from '../core/wire/scramble.ts';
import type { Side } from '../core/phase.ts';
import type { Credentials } from './credentials.ts';

/** How the proxy logs in on the servers for one client. */
export type ServerLogin =
  /** With the password that the client told. */
  | { kind: 'captured' }
  /** The configuration lists the user: with the account of each side. */
  | { kind: 'listed'; sides: Record<Side, Credentials> }
  /** The client itself answers the server's challenge, once; without its password the session cannot go elsewhere. */
  | { kind: 'relayed'; answer: ((challenge: Buffer) => Promise<Buffer>) | null };

/** As configured: `proxy.users`. */
export interface ListedUser {
  name: string;
  password: string;
  source?: { user: string; password: string } | undefined;
  target?: { user: string; password: string } | undefined;
}

/** The users that the proxy checks by itself, and those whose challenge it relays. */
export class UserDirectory {
  readonly #listed: ReadonlyMap<string, ListedUser>;
  readonly #relayed: ReadonlySet<string>;

  constructor(users: readonly ListedUser[] = [], relayed: readonly string[] = []) {
    this.#listed = new Map(users.map((user) => [user.name, user]));
    this.#relayed = new Set(relayed);
  }

  find(user: Buffer): ListedUser | undefined {
    return this.#listed.get(user.toString('utf8'));
  }

  isRelayed(user: Buffer): boolean {
    return this.#relayed.has(user.toString('utf8'));
  }
}

export function proves(
  { password }: ListedUser,
  { plugin, scramble, response }: { plugin: string | null; scramble: Buffer; response: Buffer },
): boolean {
  const secret = Buffer.from(password, 'utf8');
  if (plugin === 'mysql_native_password') return isNativeResponseTo(secret, scramble, response);
  return plugin === 'caching_sha2_password' && isCachingSha2ResponseTo(secret, scramble, response);
}

export function loginOf(user: ListedUser): ServerLogin {
  const own = { user: user.name, password: user.password };
  return { kind: 'listed', sides: { source: toBytes(user.source ?? own), target: toBytes(user.target ?? own) } };
}

function toBytes({ user, password }: { user: string; password: string }): Credentials {
  return { user: Buffer.from(user, 'utf8'), password: Buffer.from(password, 'utf8') };
}
