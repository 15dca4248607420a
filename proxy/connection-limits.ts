import type { ErrPacket } from '../core/wire/err-packet.ts';
import { CLIENT_ERROR } from './client-error.ts';

export interface ConnectionLimitOptions {
  /** In all. */
  max: number;
  /** Null: no limit of its own. */
  maxPerAddress: number | null;
  maxPerUser: number | null;
}

/** How many connections a worker takes: in all, from one address, of one user. */
export class ConnectionLimits {
  readonly #options: ConnectionLimitOptions;
  readonly #byAddress = new Map<string, number>();
  readonly #byUser = new Map<string, number>();
  #open = 0;

  constructor(options: ConnectionLimitOptions) {
    this.#options = options;
  }

  /** Before the greeting; `leave` takes it back. */
  enter(): ErrPacket | null {
    if (this.#open >= this.#options.max) return CLIENT_ERROR.tooManyConnections();
    this.#open += 1;
    return null;
  }

  leave(): void {
    this.#open -= 1;
  }

  /** Once the address is known; `leaveAddress` takes it back. */
  enterAddress(address: string): ErrPacket | null {
    const { maxPerAddress } = this.#options;
    return enter(this.#byAddress, address, maxPerAddress) ? null : CLIENT_ERROR.tooManyOf(`the address ${address}`);
  }

  leaveAddress(address: string): void {
    leave(this.#byAddress, address);
  }

  /** Once the user is known; `leaveUser` takes it back. */
  enterUser(user: string): ErrPacket | null {
    return enter(this.#byUser, user, this.#options.maxPerUser) ? null : CLIENT_ERROR.tooManyOf(`the user '${user}'`);
  }

  leaveUser(user: string): void {
    leave(this.#byUser, user);
  }
}

function enter(counts: Map<string, number>, key: string, max: number | null): boolean {
  const count = counts.get(key) ?? 0;
  if (max !== null && count >= max) return false;
  counts.set(key, count + 1);
  return true;
}

function leave(counts: Map<string, number>, key: string): void {
  const count = (counts.get(key) ?? 1) - 1;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}
