import type { RowKey } from '../apply/window.ts';
import type { Value } from '../server/connection.ts';
import type { Follower } from './follower.ts';

/** The keys of a table that replication has written to the target since this object was made. */
export class TouchedKeys implements Disposable {
  readonly #keys = new Map<RowKey, Value[]>();
  readonly #subscription: Disposable;
  #every = false;

  /** Keeps those that are `wanted`: what is not asked for must not fill memory. */
  constructor(follower: Follower, tableName: string, wanted: (key: RowKey, known: number) => boolean) {
    this.#subscription = follower.onTouched((name, keys) => {
      if (name !== tableName) return;
      if (keys === 'every' || keys === 'some') {
        this.#every = true;
        return;
      }
      for (const { key, values } of keys) {
        if (wanted(key, this.#keys.size)) this.#keys.set(key, values);
      }
    });
  }

  has(key: RowKey): boolean {
    return this.#every || this.#keys.has(key);
  }

  /** Not all are named by `keys`. */
  get every(): boolean {
    return this.#every;
  }

  get keys(): ReadonlyMap<RowKey, Value[]> {
    return this.#keys;
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
  }
}
