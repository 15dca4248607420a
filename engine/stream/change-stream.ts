import { AppError } from '../../core/errors.ts';
import { Channel } from '../../core/channel.ts';
import type { Flavor, StreamPosition } from '../../core/gtid.ts';
import type { ServerDefinition } from '../api.ts';
import { BinlogClient } from './binlog-client.ts';
import { AnchorCheck, type Anchor } from './anchor.ts';
import type { BinlogEvent } from './event.ts';
import { OpenXa } from './open-xa.ts';
import { ReachingObjects } from './reaching-objects.ts';
import { ReadAgain } from './read-again.ts';
import { ServerConnection } from '../server/connection.ts';
import type { StreamScope } from './stream-scope.ts';
import { isGenerator, TransactionAssembler } from './transaction-assembler.ts';
import { gtidsOf, type StreamTransaction } from './transaction.ts';

const PART_BYTES_MAX = 4 * 1024 * 1024;

export interface ChangeStreamOptions extends Omit<StreamScope, 'isImported' | 'namesImported' | 'takesNew'> {
  /** Left out: those that there is a table for. */
  isImported?: StreamScope['isImported'];
  namesImported?: StreamScope['namesImported'];
  takesNew?: StreamScope['takesNew'];
  server: ServerDefinition;
  flavor: Flavor;
  /** Everything in it has been read already; the first transaction is the first one not in it. */
  from: StreamPosition;
  /** Before `from`: see `StreamTransaction.readFrom`. */
  readFrom?: StreamPosition | undefined;
  /** The last transaction in `from`, to be looked at again; with `readFrom`, which looks at it anyway, it is left out. */
  anchor?: Anchor | undefined;
  /** Closes the stream when aborted. */
  signal: AbortSignal;
  /** Transactions that wait to be taken, in memory. */
  bufferBytesMax: number;
  /** A transaction larger than this is handed out in parts of about this size. */
  partBytesMax?: number;
  heartbeatMs?: number;
  silenceMaxMs?: number;
  /** `withheld` has one more. */
  onWithheld?: () => void;
}

interface StreamParts {
  from: StreamPosition;
  readAgain: ReadAgain | undefined;
  anchor: Anchor | undefined;
  assembler: TransactionAssembler;
  bufferBytesMax: number;
  readReaching: () => Promise<ReachingObjects>;
}

/**
 * The transactions of a server in commit order, those without changes in scope included (they move the position).
 *
 * Bounded in bytes (I8): a full buffer pauses the socket. The log holds committed transactions alone, so a large one
 * can be handed out in parts while it still comes in (see `StreamTransaction`); those between XA PREPARE and XA COMMIT
 * wait in a file (`HeldEvents`). What is in memory as a whole is one event: a row, or a compressed transaction in its
 * compressed form, which the server bounds by max_allowed_packet.
 *
 * It does not reconnect: after a failure `next` gives what is buffered and then rejects; the user, who knows what was
 * applied, opens another one from there.
 */
export class ChangeStream implements AsyncDisposable {
  readonly #channel: Channel<StreamTransaction>;
  readonly #assembler: TransactionAssembler;
  readonly #received: StreamPosition;
  readonly #readAgain: ReadAgain | undefined;
  #anchor: AnchorCheck | undefined;
  readonly #openXa = new OpenXa();
  #client: BinlogClient | undefined;
  #closed = false;
  readonly #readReaching: () => Promise<ReachingObjects>;
  /** Read when a statement asks for it, until one may have changed it. */
  #reaching: ReachingObjects | undefined;

  /** Rejects with STREAM_PURGED, STREAM_DIVERGED, SERVER_UNREACHABLE, …; what the server refuses later rejects `next`. */
  static async open({
    server,
    flavor,
    from,
    readFrom,
    anchor,
    signal,
    bufferBytesMax,
    partBytesMax = PART_BYTES_MAX,
    heartbeatMs,
    silenceMaxMs,
    tableOf,
    isImported = (schema, name) => tableOf(schema, name) !== undefined,
    namesImported = isImported,
    takesNew = () => false,
    inScope,
    ownTables,
    isOwnImport,
    onWithheld,
  }: ChangeStreamOptions): Promise<ChangeStream> {
    signal.throwIfAborted();
    const readAgain = readFrom === undefined ? undefined : new ReadAgain(from, readFrom);
    const stream = new ChangeStream({
      from: (readFrom ?? from).clone(),
      readAgain,
      anchor: readFrom === undefined ? anchor : undefined,
      assembler: new TransactionAssembler(
        {
          flavor,
          tableOf,
          isImported,
          namesImported,
          takesNew,
          inScope,
          ...(ownTables === undefined ? {} : { ownTables }),
          ...(isOwnImport === undefined ? {} : { isOwnImport }),
        },
        partBytesMax,
        { isRepeated: readAgain === undefined ? undefined : (gtid) => readAgain.covers(gtid), onWithheld },
      ),
      bufferBytesMax,
      readReaching: async () => {
        await using connection = await ServerConnection.open(server);
        return await ReachingObjects.read(connection, namesImported);
      },
    });
    const client = await BinlogClient.open({
      server,
      flavor,
      from: readFrom ?? anchor?.before ?? from,
      has: from,
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

  private constructor({ from, readAgain, anchor, assembler, bufferBytesMax, readReaching }: StreamParts) {
    this.#readReaching = readReaching;
    this.#received = from;
    this.#anchor = anchor === undefined ? undefined : new AnchorCheck(anchor);
    this.#readAgain = readAgain;
    this.#assembler = assembler;
    this.#channel = new Channel(bufferBytesMax);
  }

  /** Position of everything received, the buffer included. It is live: `clone()` what is kept. */
  get received(): StreamPosition {
    return this.#received;
  }

  /** See `TransactionAssembler.withheld`. */
  withheld(): Iterable<string> {
    return this.#assembler.withheld();
  }

  /** When the server was last heard, heartbeats included; ms since the epoch. */
  get lastHeardAtMs(): number {
    return this.#client?.lastHeardAtMs ?? 0;
  }

  /** In memory: buffered, half received, and held for XA. */
  get bytesHeld(): number {
    return this.#channel.bytes + this.#assembler.bytesHeld;
  }

  /** Of those that wait in the buffer. */
  get bufferedBytes(): number {
    return this.#channel.bytes;
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
    this.#assembler[Symbol.dispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** A promise: nothing more until it is settled. */
  #event(event: BinlogEvent): Promise<void> | undefined {
    if (this.#anchor?.takes(event) === true) return undefined;
    if (this.#anchor?.done === true) this.#anchor = undefined;
    const fed = this.#assembler.feed(event);
    if (fed === undefined || this.#closed) return undefined;
    return isGenerator(fed) ? this.#deliverAll(fed) : this.#deliver(fed);
  }

  async #deliverAll(transactions: AsyncIterable<StreamTransaction>): Promise<void> {
    for await (const transaction of transactions) {
      if (this.#closed) return;
      await this.#deliver(transaction);
    }
  }

  #deliver(transaction: StreamTransaction): Promise<void> | undefined {
    if (this.#received.coversGtid(transaction.gtid)) {
      // Servers do not send what they were told we have; a second copy would be applied twice.
      throw new AppError('STREAM_EVENT_MALFORMED', `the server sent ${transaction.gtid} again`);
    }
    const readFrom = this.#openXa.after(this.#assembler.preparedXids(), this.#received);
    if (readFrom !== undefined) transaction.readFrom = readFrom;
    if (!transaction.partial) for (const gtid of gtidsOf(transaction)) this.#received.advance(gtid);
    if (this.#readAgain?.covers(transaction.gtid) === true) return undefined;
    if (transaction.redefines === true) this.#reaching = undefined;
    return transaction.statements === undefined ? this.#offer(transaction) : this.#judge(transaction);
  }

  #offer(transaction: StreamTransaction): Promise<void> | undefined {
    return this.#channel.offer(transaction, transaction.bytes) ? this.#channel.drained() : undefined;
  }

  /**
   * The server is asked by now, which is later than the log: code that was dropped since is not seen, and code that was made since
   * stops the stream at a statement that did not run it.
   */
  async #judge({ statements = [], ...transaction }: StreamTransaction): Promise<void> {
    this.#reaching ??= await this.#readReaching();
    for (const { sql, mentions } of statements) {
      const reached = this.#reaching.among(mentions);
      if (reached.length === 0) continue;
      throw new AppError(
        'STREAM_STATEMENT_DML',
        `the change of transaction ${transaction.gtid} was logged as a statement, and may reach imported tables through ${reached.join(', ')}: ${sql}`,
        { details: { gtid: transaction.gtid, through: reached } },
      );
    }
    if (!this.#closed) await this.#offer(transaction);
  }
}
