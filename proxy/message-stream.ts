import type { Duplex } from 'node:stream';
import { MalformedPacketError } from '../core/wire/byte-reader.ts';
import { MessageSplitter, framePacket, type Message } from '../core/wire/packet.ts';

/** The peer closed the connection, or the network did. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionLostError';
}

/**
 * One message after the other, asked for with `await`: for logins and for our own statements. While a session relays,
 * its sockets are read without it; `detach` hands back what was received too much.
 */
export class MessageStream {
  readonly socket: Duplex;
  readonly #splitter: MessageSplitter;
  #waiting: { resolve: (message: Message) => void; reject: (error: Error) => void } | undefined;
  #failure: Error | undefined;
  /** Of the last message in either direction; the next one that we write has the one after it. */
  #sequence: number;
  readonly #checksSequence: boolean;

  /** `checksSequence`: a message that is not the one after ours is malformed, as for the server. */
  constructor(
    socket: Duplex,
    {
      maxBytes,
      sequence = -1,
      checksSequence = false,
    }: { maxBytes: number; sequence?: number; checksSequence?: boolean },
  ) {
    this.#checksSequence = checksSequence;
    this.socket = socket;
    this.#sequence = sequence;
    this.#splitter = new MessageSplitter(maxBytes);
    socket.on('data', this.#onData);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
    socket.resume();
  }

  async next(): Promise<Buffer> {
    if (this.#waiting !== undefined) throw new Error('two readers on one message stream');
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    this.#waiting = { resolve, reject };
    this.#deliver();
    const message = await promise;
    if (this.#checksSequence && message.sequence !== ((this.#sequence + 1) & 0xff))
      throw new MalformedPacketError('packets out of order');
    this.#sequence = message.sequence;
    return message.payload;
  }

  /** Answers within the running exchange. */
  write(payload: Buffer): void {
    const framed = framePacket(payload, this.#sequence + 1);
    this.#sequence += 1;
    this.socket.write(framed);
  }

  /** Begins a new exchange; several may be under way, their answers come in order. */
  writeCommand(payload: Buffer): void {
    this.socket.write(framePacket(payload, 0));
  }

  /** Bytes that were read from the socket before this stream began. */
  unread(bytes: Buffer): void {
    this.#onData(bytes);
  }

  /** Ends the use of the stream: rejects who waits and returns what was received beyond the last message. */
  detach(): Buffer {
    this.socket.off('data', this.#onData);
    this.socket.off('error', this.#onError);
    this.socket.off('close', this.#onClose);
    this.socket.pause();
    if (this.#waiting !== undefined) this.#fail(new ConnectionLostError('the stream was detached'));
    return this.#splitter.takeRest();
  }

  #onData = (chunk: Buffer): void => {
    this.#splitter.push(chunk);
    this.#deliver();
  };

  #onError = (error: Error): void => {
    this.#fail(new ConnectionLostError(error.message, { cause: error }));
  };

  #onClose = (): void => {
    this.#fail(new ConnectionLostError('the connection was closed'));
  };

  #deliver(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    try {
      const message = this.#splitter.next();
      if (message !== undefined) {
        this.#waiting = undefined;
        waiting.resolve(message);
        return;
      }
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
    if (this.#failure !== undefined) {
      this.#waiting = undefined;
      waiting.reject(this.#failure);
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(this.#failure);
  }
}
