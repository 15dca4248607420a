/** What keeps a session on its server, by a text that people understand. */
export class Pins {
  readonly #keys = new Set<string>();
  readonly #permanent = new Set<string>();

  get isEmpty(): boolean {
    return this.#keys.size === 0;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** As long as the login lasts. */
  addPermanent(key: string): void {
    this.#permanent.add(key);
    this.add(key);
  }

  add(key: string): void {
    this.#keys.add(key);
  }

  remove(key: string): void {
    this.#keys.delete(key);
  }

  removePrefix(prefix: string): void {
    for (const key of this.#keys) if (key.startsWith(prefix)) this.#keys.delete(key);
  }

  /** Those that a reset of the session releases. */
  removeReleasable(): void {
    for (const key of this.#keys) if (!this.#permanent.has(key)) this.#keys.delete(key);
  }

  reasons(): string[] {
    return [...this.#keys];
  }
}
