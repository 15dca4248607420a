import { setTimeout as delay } from 'node:timers/promises';
import { parsePosition, type Flavor, type StreamPosition } from '../../core/gtid.ts';
import type { ServerConnection } from '../server/connection.ts';
import { hasReached } from '../server/position.ts';
import type { CopyOptions } from './run-copy.ts';

const LOOK_MS = 500;

/**
 * Lets nobody read from a replica that lacks something of the position where the stream begins: what it lacks would neither be in
 * the chunk nor come in the stream. From then on it may be as late as it likes: what it lacks is in the stream.
 */
export class ReplicaGate {
  readonly #flavor: Flavor;
  readonly #from: StreamPosition | undefined;
  readonly #onThrottle: (reason: string | null) => void;
  #waiting = 0;

  constructor(flavor: Flavor, { replica, onThrottle = () => {} }: Pick<CopyOptions, 'replica' | 'onThrottle'>) {
    this.#flavor = flavor;
    this.#from = replica === undefined ? undefined : parsePosition(flavor, replica.from);
    this.#onThrottle = onThrottle;
  }

  /** Resolves when rows may be read from the server that `reader` is connected to. */
  async pass(reader: ServerConnection, signal: AbortSignal): Promise<void> {
    if (this.#from === undefined || (await hasReached(reader, this.#flavor, this.#from))) return;
    this.#waiting += 1;
    if (this.#waiting === 1) {
      const { host, port } = reader.server;
      this.#onThrottle(`the replica ${host}:${port} does not have all that the source had when the import began`);
    }
    try {
      do await delay(LOOK_MS, undefined, { signal });
      while (!(await hasReached(reader, this.#flavor, this.#from)));
    } finally {
      this.#waiting -= 1;
    }
    if (this.#waiting === 0) this.#onThrottle(null);
  }
}
