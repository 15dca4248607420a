import { AppError } from '../../core/errors.ts';
import { Channel } from '../../core/channel.ts';
import type { Flavor, StreamPosition } from '../../core/gtid.ts';
import type { ServerDefinition } from '../api.ts';
import { BinlogClient } from './binlog-client.ts';
import type { BinlogEvent } from './event.ts';
import type { StreamScope } from './stream-scope.ts';
import { TransactionAssembler } from './transaction-assembler.ts';
import type { StreamTransaction } from './transaction.ts';

export interface ChangeStreamOptions extends StreamScope {
  server: ServerDefinition;
  flavor: Flavor;
  /** Everything in it has been read already; the first transaction is the first one not in it. */
  from: StreamPosition;
  /** Closes the stream when aborted. */
  signal: AbortSignal;
  /** Transactions that wait to be taken, in memory. */
  bufferBytesMax: number;
  heartbeatMs?: number;
  silenceMaxMs?: number;
}

/**
 * The transactions of a server in commit order, those without changes in scope included (they move the position).
 *
 * Bounded in bytes (I8): a full buffer pauses the socket. A single transaction may exceed the bound, for it is handed
 * out whole; so may transactions between XA PREPARE and XA COMMIT. Neither spills to disk yet.
 *
 * It does not reconnect: after a failure `next` gives what is buffered and then rejects; the user, who knows what was
 * applied, opens another one from there.
 */
export class ChangeStream implements AsyncDisposable {
  readonly #channel: Channel<StreamTransaction>;
  readonly #assembler: TransactionAssembler;
  readonly #received: StreamPosition;
  #client: BinlogClient | undefined;
  #closed = false;
  #draining = false;

  /** Rejects with STREAM_PURGED, STREAM_DIVERGED, SERVER_UNREACHABLE, …; what the server refuses later rejects `next`. */
  static async open({
    server,
    flavor,
    from,
    signal,
    bufferBytesMax,
    heartbeatMs,
    silenceMaxMs,
    tableOf,
    inScope,
  }: ChangeStreamOptions): Promise<ChangeStream> {
    signal.throwIfAborted();
    const stream = new ChangeStream(from.clone(), { tableOf, inScope }, bufferBytesMax);
    const client = await BinlogClient.open({
      server,
      flavor,
      from,
      handler: { event: (event) => stream.#event(event), ended: (error) => stream.#channel.fail(error) },
      ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
      ...(silenceMaxMs === undefined ? {} : { silenceMaxMs }),
    });
    stream.#client = client;
    if (signal.aborted) {
      client.close();
      signal.throwIfAborted();
    }
    signal.addEventListener('abort', () => void stream.close(), { once: true });
    return stream;
  }

  private constructor(from: StreamPosition, scope: StreamScope, bufferBytesMax: number) {
    this.#received = from;
    this.#assembler = new TransactionAssembler(scope);
    this.#channel = new Channel(bufferBytesMax);
  }

  /** Position of everything received, the buffer included. It is live: `clone()` what is kept. */
  get received(): StreamPosition {
    return this.#received;
  }

  /** When the server was last heard, heartbeats included; ms since the epoch. */
  get lastHeardAtMs(): number {
    return this.#client?.lastHeardAtMs ?? 0;
  }

  /** In memory: buffered, half received, and held for XA. */
  get bytesHeld(): number {
    return this.#channel.bytes + this.#assembler.bytesHeld;
  }

  /** Transactions that wait in the buffer. */
  get buffered(): number {
    return this.#channel.length;
  }

  /** Rejects with the stream's failure once the buffer is empty; with an AbortError when `signal` aborts or it is closed. */
  async next(signal?: AbortSignal): Promise<StreamTransaction> {
    const transaction = await this.#channel.shift(signal);
    if (transaction === undefined) throw new DOMException('the stream is closed', 'AbortError');
    return transaction;
  }

  /** As `next`; undefined when `waitMs` passed first (without it: never). */
  async nextWithin(waitMs: number | undefined, signal: AbortSignal): Promise<StreamTransaction | undefined> {
    if (waitMs === undefined) return await this.next(signal);
    const deadline = AbortSignal.timeout(waitMs);
    try {
      return await this.next(AbortSignal.any([signal, deadline]));
    } catch (error) {
      if (deadline.aborted && !signal.aborted) return undefined;
      throw error;
    }
  }

  /** What is buffered now; undefined when nothing is, the stream's failure included (`next` tells it). */
  tryNext(): StreamTransaction | undefined {
    return this.#channel.tryShift();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#client?.close();
    this.#channel.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #event(event: BinlogEvent): void {
    const transaction = this.#assembler.feed(event);
    if (transaction === undefined || this.#closed) return;
    if (this.#received.coversGtid(transaction.gtid)) {
      // Servers do not send what they were told we have; a second copy would be applied twice.
      throw new AppError('STREAM_EVENT_MALFORMED', `the server sent ${transaction.gtid} again`);
    }
    this.#received.advance(transaction.gtid);
    if (this.#channel.offer(transaction, transaction.bytes)) this.#pauseUntilDrained();
  }

  #pauseUntilDrained(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#client?.pause();
    void this.#channel.drained().then(() => {
      this.#draining = false;
      this.#client?.resume();
    });
  }
}
