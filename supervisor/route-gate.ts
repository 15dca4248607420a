import type { Logger } from 'pino';

/**
 * The engine asks the servers first whether the route is true (ADR 27): some tenths of a second, or some seconds while a server
 * does not answer (`START_MS` of the marker keeper). Where it cannot, traffic goes on without it, since the engine is no part of the
 * way of a query.
 */
const CHECK_MS_MAX = 15_000;

/** Keeps a route that may be of an old backup from proxies until the engine has compared it with what the servers tell. */
export class RouteGate {
  readonly #opened = Promise.withResolvers<void>();
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #isOpen = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  open(): void {
    clearTimeout(this.#timer);
    this.#isOpen = true;
    this.#opened.resolve();
  }

  async passed(): Promise<void> {
    this.#timer ??= setTimeout(() => {
      this.#log.warn(
        'the engine has not compared the route with what the servers tell of it: it is served as it is stored',
      );
      this.open();
    }, CHECK_MS_MAX).unref();
    await this.#opened.promise;
  }
}
