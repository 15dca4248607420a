/**
 * Lets so many logins at a server go on at a time, and the others wait in the order in which they came. At the release of
 * thousands of sessions that have no connection ready, each login would otherwise take so long that all of them fail.
 */
export class LoginGate {
  readonly #atOnce: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  async run<T>(logIn: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#atOnce) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      // Whoever ends hands its place on: `#running` stays as it is.
      await promise;
    } else {
      this.#running += 1;
    }
    try {
      return await logIn();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
