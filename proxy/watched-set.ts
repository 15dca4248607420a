/** A set that tells when nothing is left in it. */
export class WatchedSet<T> extends Set<T> {
  #emptied = Promise.withResolvers<void>();

  override delete(value: T): boolean {
    const deleted = super.delete(value);
    if (this.size === 0) {
      this.#emptied.resolve();
      this.#emptied = Promise.withResolvers();
    }
    return deleted;
  }

  /** At once where it is empty already. */
  async emptied(): Promise<void> {
    if (this.size > 0) await this.#emptied.promise;
  }
}
