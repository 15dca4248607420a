import { isCachingSha2ResponseTo } from '../core/wire/scramble.ts';

/** What a client proved to us, needed to log in on its behalf. Kept in memory only, never logged. */
export interface Credentials {
  user: Buffer;
  password: Buffer;
}

/** More than two: dual passwords while an application rolls out a new one. */
const PASSWORDS_PER_USER = 4;
const USERS_MAX = 10_000;

/**
 * Passwords that a server accepted, so that later logins need no full authentication. A hit only saves the client a
 * round trip: the server still decides at the login there, so a password that was changed meanwhile is refused by it.
 */
export class CredentialCache {
  readonly #passwords = new Map<string, Buffer[]>();

  accepted({ user, password }: Credentials): void {
    const key = user.toString('latin1');
    const known = this.#passwords.get(key) ?? [];
    if (known.some((other) => other.equals(password))) return;
    if (!this.#passwords.has(key) && this.#passwords.size >= USERS_MAX) return;
    this.#passwords.set(key, [password, ...known].slice(0, PASSWORDS_PER_USER));
  }

  refused({ user, password }: Credentials): void {
    const key = user.toString('latin1');
    const left = (this.#passwords.get(key) ?? []).filter((other) => !other.equals(password));
    if (left.length === 0) this.#passwords.delete(key);
    else this.#passwords.set(key, left);
  }

  /** The known password that `response` proves, if any. */
  match(user: Buffer, scramble: Buffer, response: Buffer): Buffer | undefined {
    const known = this.#passwords.get(user.toString('latin1')) ?? [];
    return known.find((password) => isCachingSha2ResponseTo(password, scramble, response));
  }
}
