/** What keeps a session on its server, by a text that people understand, with how often it was taken. */
export class Pins {
  readonly #counts = new Map<string, number>();
  readonly #permanent = new Set<string>();

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  has(key: string): boolean {
    return this.#counts.has(key);
  }

  /** As long as the login lasts. */
  addPermanent(key: string): void {
    this.#permanent.add(key);
    this.add(key);
  }

  add(key: string): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  remove(key: string): void {
    const count = this.#counts.get(key) ?? 0;
    if (count <= 1) this.#counts.delete(key);
    else this.#counts.set(key, count - 1);
  }

  removePrefix(prefix: string): void {
    for (const key of this.#counts.keys()) if (key.startsWith(prefix)) this.#counts.delete(key);
  }

  /** Those that a reset of the session releases. */
  removeReleasable(): void {
    for (const key of this.#counts.keys()) if (!this.#permanent.has(key)) this.#counts.delete(key);
  }

  reasons(): string[] {
    return [...this.#counts.keys()];
  }
}
