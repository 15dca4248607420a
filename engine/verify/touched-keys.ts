import type { RowKey } from '../apply/window.ts';
import type { Follower } from './follower.ts';

/** Which of some keys of a table replication has written to the target since this object was made. */
export class TouchedKeys implements Disposable {
  readonly #touched = new Set<RowKey>();
  readonly #subscription: Disposable;

  constructor(follower: Follower, tableName: string, among: { has(key: RowKey): boolean }) {
    this.#subscription = follower.onTouched((name, keys) => {
      if (name !== tableName) return;
      for (const { key } of keys) {
        if (among.has(key)) this.#touched.add(key);
      }
    });
  }

  has(key: RowKey): boolean {
    return this.#touched.has(key);
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
  }
}
