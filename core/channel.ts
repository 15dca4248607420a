import { abortable } from './abort.ts';

/**
 * A queue bounded in bytes that slows its producer (I8): `push` waits while the queue holds `maxBytes` or more.
 * One item larger than the bound still passes, alone. One consumer.
 */
export class Channel<T> {
  readonly #maxBytes: number;
  /** Those before the head were taken, and are emptied so that nothing holds them. */
  readonly #items: ({ value: T; bytes: number } | undefined)[] = [];
  #head = 0;
  #bytes = 0;
  #ended = false;
  #failure: unknown;
  #waitingConsumer: (() => void) | undefined;
  #waitingProducers: (() => void)[] = [];

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#items.length - this.#head;
  }

  /** Resolves once the item is queued; rejects with the channel's failure, or when `signal` aborts. */
  async push(value: T, bytes: number, signal?: AbortSignal): Promise<void> {
    while (this.#bytes >= this.#maxBytes && !this.#ended) {
      signal?.throwIfAborted();
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waitingProducers.push(resolve);
      await (signal === undefined ? promise : abortable(promise, signal));
    }
    signal?.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#ended) throw new Error('push after end');
    this.#items.push({ value, bytes });
    this.#bytes += bytes;
    this.#wakeConsumer();
  }

  /** Queues without waiting; true when the producer should pause until `drained()` resolves. */
  offer(value: T, bytes: number): boolean {
    if (this.#ended) return false;
    this.#items.push({ value, bytes });
    this.#bytes += bytes;
    this.#wakeConsumer();
    return this.#bytes >= this.#maxBytes;
  }

  /** Resolves when the queue holds less than its bound, or has ended. */
  async drained(): Promise<void> {
    while (this.#bytes >= this.#maxBytes && !this.#ended) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waitingProducers.push(resolve);
      await promise;
    }
  }

  /** What is queued now, without waiting; undefined when empty. */
  tryShift(): T | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    this.#bytes -= item.bytes;
    if (this.#bytes < this.#maxBytes) this.#wakeProducers();
    return item.value;
  }

  /** The next item; undefined at the end. Rejects with the failure given to `fail`, after what was queued before it. */
  async shift(signal?: AbortSignal): Promise<T | undefined> {
    for (;;) {
      const value = this.tryShift();
      if (value !== undefined) return value;
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended) return undefined;
      signal?.throwIfAborted();
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waitingConsumer = resolve;
      await (signal === undefined ? promise : abortable(promise, signal));
    }
  }

  end(): void {
    this.#ended = true;
    this.#wakeConsumer();
    this.#wakeProducers();
  }

  /** Ends the channel with an error that the consumer meets after the queued items. */
  fail(error: unknown): void {
    if (this.#ended) return;
    this.#failure = error;
    this.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    for (;;) {
      const value = await this.shift();
      if (value === undefined) return;
      yield value;
    }
  }

  #wakeConsumer(): void {
    const wake = this.#waitingConsumer;
    this.#waitingConsumer = undefined;
    wake?.();
  }

  #wakeProducers(): void {
    const waiting = this.#waitingProducers;
    this.#waitingProducers = [];
    for (const wake of waiting) wake();
  }
}
