/** A document with the revision that a compare-and-set must name. Revisions grow; values are JSON. */
export interface Versioned<T = unknown> {
  key: string;
  value: T;
  revision: number;
}

/**
 * Small documents with compare-and-set and watch. Whoever reads a value parses it (zod): the store knows no shapes.
 * Keys: `import/<id>`, `route`, `intent/<importId>`, `secret/<importId>`.
 */
export interface StateStore {
  get(key: string): Promise<Versioned | undefined>;
  list(prefix: string): Promise<Versioned[]>;
  /**
   * Writes when the current revision is `expected` (`null`: when there is no such key). Returns the new revision.
   * Rejects with STORE_CONFLICT otherwise, having changed nothing.
   */
  compareAndSet(key: string, expected: number | null, value: unknown): Promise<number>;
  /** Deletes whatever is there; deleting nothing is no error. */
  delete(key: string): Promise<void>;
}
