import type { Duplex } from 'node:stream';
import { MalformedPacketError } from '../core/wire/byte-reader.ts';
import { COMMAND } from '../core/wire/command.ts';
import { buildErr, type ErrPacket } from '../core/wire/err-packet.ts';
import { framePacket } from '../core/wire/packet.ts';
import type { BackendConnection } from './backend-connection.ts';
import { CLIENT_ERROR, type OwnError } from './client-error.ts';
import { ClientInput } from './client-input.ts';
import type { Errand } from './command-decision.ts';
import { EXECUTING_COMMANDS, type CommandTracker } from './command-tracker.ts';
import type { KillRequest } from './session-kill.ts';
import type { ProxyMetrics } from './session-metrics.ts';
import { pourInto, sendBytes, stopPouring } from './wire-socket.ts';

/** What the session decides and does; the relay only moves bytes. */
export interface RelayOwner {
  /**
   * Asked before each command: may it go to the server now? False while our own statements use the connection, so that
   * its back-pressure says nothing about the client's bytes.
   */
  isRelaying(): boolean;
  /** A command goes to the server. */
  onCommand(): void;
  /** A command stands first and may not pass. */
  onCommandWaits(): void;
  /** Something is to be done on the server before the command that stands first. */
  onErrand(errand: Errand): void;
  /** A command went that has no answer. */
  onUnanswered(): void;
  onKill(request: KillRequest): void;
  onChangeUser(payload: Buffer): void;
  /** The client said goodbye, or is gone. */
  onClientEnded(): void;
  onBackendClosed(): void;
  /** Somebody breaks the protocol: nothing can be told from what follows. */
  onBroken(error: OwnError): void;
  /** The OK packet of a ping, from the proxy in the server's stead. */
  pong(): Buffer;
}

/** What a client may send ahead of an answer before its socket is no longer read (I8). */
const AHEAD_BYTES_MAX = 1 << 16;
const CLOSE_TIMEOUT_MS = 1000;

/**
 * Moves bytes between a client and its server, with back-pressure in both directions: neither is read faster than the
 * other takes. Commands go one at a time; what comes ahead waits in `ClientInput`.
 */
export class Relay {
  readonly client: Duplex;
  readonly #owner: RelayOwner;
  readonly #metrics: ProxyMetrics;
  readonly #input = new ClientInput();
  #tracker: CommandTracker;
  #backend: BackendConnection;
  bytesIn = 0;
  bytesOut = 0;

  constructor(options: {
    client: Duplex;
    backend: BackendConnection;
    tracker: CommandTracker;
    owner: RelayOwner;
    metrics: ProxyMetrics;
  }) {
    this.client = options.client;
    this.#owner = options.owner;
    this.#metrics = options.metrics;
    this.#tracker = options.tracker;
    this.#backend = options.backend;
    pourInto(this.client, this.#onClientData);
    this.client.on('drain', this.#onClientDrain);
    this.client.on('error', () => this.client.destroy());
    this.client.on('close', this.#onClientClosed);
    this.attach(options.backend);
  }

  /** Nothing of what the client sent waits here. */
  get isEmpty(): boolean {
    return this.#input.isEmpty;
  }

  /** A command is outstanding, or the rest of one is still to come. */
  get isBusy(): boolean {
    return this.#tracker.isBusy || this.#input.isUploading;
  }

  /** The relay begins, or goes on, with this connection. */
  attach(backend: BackendConnection): void {
    this.#backend = backend;
    pourInto(backend.socket, this.#onBackendData);
    backend.socket.on('drain', this.#onBackendDrain);
    backend.socket.on('close', this.#onBackendClosed);
    backend.socket.resume();
    // It closed while nobody listened.
    if (backend.socket.destroyed) setImmediate(this.#onBackendClosed);
  }

  /** Somebody else uses the connection now. */
  detach(): void {
    const { socket } = this.#backend;
    stopPouring(socket, this.#onBackendData);
    socket.off('drain', this.#onBackendDrain);
    socket.off('close', this.#onBackendClosed);
  }

  /** After another login on the same client: nothing of the former one is left. */
  follow(tracker: CommandTracker): void {
    this.#tracker = tracker;
  }

  /** Our own exchange with the client begins; returns what it sent ahead. */
  releaseClient(): Buffer {
    stopPouring(this.client, this.#onClientData);
    return this.#input.takeAll();
  }

  regainClient(ahead: Buffer): void {
    pourInto(this.client, this.#onClientData);
    this.#input.push(ahead);
  }

  push(ahead: Buffer): void {
    this.#input.push(ahead);
  }

  /** The server asked for the client's file. */
  beginFile(): void {
    this.#input.beginFile();
  }

  /** Passes on what may pass. */
  pump(): void {
    try {
      while (!this.#input.isEmpty && this.#passNext());
      this.#updateReading();
    } catch (error) {
      this.#onMalformed(error, CLIENT_ERROR.malformed());
    }
  }

  toClient(bytes: Buffer): void {
    this.bytesOut += bytes.length;
    if (!sendBytes(this.client, bytes)) this.#backend.socket.pause();
  }

  /** In place of an execution that stands first, as a whole, and has not gone yet; false where none does. */
  refuseWaiting(error: OwnError): boolean {
    if (this.#tracker.isBusy || !this.#input.hasWholeCommand) return false;
    if (!EXECUTING_COMMANDS.has(this.#input.peekCommand() ?? COMMAND.PING)) return false;
    this.#input.takeCommand();
    this.toClient(framePacket(buildErr(error), 1));
    return true;
  }

  /** Answers the command that was taken last in the server's stead. */
  answer(payload: Buffer): void {
    this.toClient(framePacket(payload, 1));
  }

  /** Tells the client in place of the next answer, where it is not in the middle of a packet. */
  tell(error: ErrPacket): void {
    if (!this.#tracker.isBetweenPackets || this.client.destroyed) return;
    const sequence = this.#tracker.isBusy ? this.#tracker.nextSequence : this.isEmpty ? 0 : 1;
    this.client.end(framePacket(buildErr(error), sequence));
  }

  close(): void {
    stopPouring(this.client, this.#onClientData);
    this.client.resume();
    if (!this.client.writableEnded) this.client.end();
    const timer = setTimeout(() => this.client.destroy(), CLOSE_TIMEOUT_MS);
    timer.unref();
    this.client.once('close', () => clearTimeout(timer));
    this.detach();
    // What runs there is ended by the end of its connection.
    if (this.#tracker.isBusy) this.#backend.destroy();
    else this.#backend.quit();
  }

  #onClientData = (chunk: Buffer): void => {
    this.bytesIn += chunk.length;
    this.#metrics.onBytes('client', chunk.length);
    this.#input.push(chunk);
    this.pump();
    this.#input.keep();
  };

  #peek = (): Buffer => this.#input.peekPacket();

  #onClientDrain = (): void => {
    if (this.#owner.isRelaying()) this.#backend.socket.resume();
    this.pump();
  };

  #onClientClosed = (): void => {
    this.#owner.onClientEnded();
  };

  #onBackendData = (chunk: Buffer): void => {
    this.#metrics.onBytes('server', chunk.length);
    try {
      this.#tracker.feed(chunk);
    } catch (error) {
      this.#onMalformed(error, CLIENT_ERROR.malformedAnswer());
    }
  };

  #onBackendDrain = (): void => {
    this.#updateReading();
  };

  #onBackendClosed = (): void => {
    if (this.#backend.socket.destroyed) this.#owner.onBackendClosed();
  };

  /** What one client or server sends must never end the process with all the others. */
  #onMalformed(error: unknown, told: OwnError): void {
    // RangeError: a number was read beyond the end of a packet.
    if (!(error instanceof MalformedPacketError || error instanceof RangeError)) throw error;
    this.#owner.onBroken(told);
  }

  /** False when it has to wait: for more bytes, for an answer, or for the session to be allowed to go on. */
  #passNext(): boolean {
    if (this.#input.isUploading) {
      const piece = this.#input.takeUpload();
      if (piece === undefined) return false;
      if (piece.fileEnd !== null) this.#tracker.localInfileSent(piece.fileEnd);
      this.#toBackend(piece.bytes);
      return true;
    }
    if (this.#tracker.isRaw) {
      this.#toBackend(this.#input.takeLent());
      return true;
    }
    // Also what the proxy answers itself waits until the client takes it.
    if (this.#tracker.isBusy || this.client.writableNeedDrain) return false;
    const command = this.#input.peekCommand();
    if (command === undefined) {
      // The rest of a large one is read when it may go on.
      if (this.#isAhead && !this.#owner.isRelaying()) this.#owner.onCommandWaits();
      return false;
    }
    if (!this.#owner.isRelaying()) return this.#whileWaiting(command);
    const errand = this.#tracker.beforeStart(command, this.#peek);
    if (errand !== null) {
      this.#owner.onErrand(errand);
      return false;
    }
    this.#owner.onCommand();
    this.#dispatch(this.#input.takeCommand());
    return true;
  }

  /** A ping needs no server; the end of the session needs no release. Everything else waits. */
  #whileWaiting(command: number): boolean {
    if (command === COMMAND.QUIT) {
      this.#owner.onClientEnded();
      return false;
    }
    if (command === COMMAND.PING) {
      this.#input.takeCommand();
      this.toClient(framePacket(this.#owner.pong(), 1));
      return true;
    }
    this.#owner.onCommandWaits();
    return false;
  }

  #dispatch(packet: Buffer): void {
    const decision = this.#tracker.start(packet);
    switch (decision.kind) {
      case 'forward':
        this.#toBackend(decision.packet);
        if (!decision.isAnswered) this.#owner.onUnanswered();
        return;
      case 'refuse': {
        const { error } = decision;
        // The rest of a large command that is refused cannot be told from the next one.
        if (this.#input.isUploading) {
          this.#owner.onBroken(CLIENT_ERROR.malformed());
          return;
        }
        if (error.reason !== undefined) this.#metrics.onRefused(error.reason);
        this.toClient(framePacket(buildErr(error), 1));
        return;
      }
      case 'kill':
        this.#owner.onKill(decision.request);
        return;
      case 'change-user':
        this.#owner.onChangeUser(Buffer.from(decision.payload));
        return;
      case 'quit':
        this.#owner.onClientEnded();
        return;
      default:
        throw new Error(`unknown decision ${JSON.stringify(decision satisfies never)}`);
    }
  }

  get #isAhead(): boolean {
    return this.#input.length > AHEAD_BYTES_MAX;
  }

  #toBackend(bytes: Buffer): void {
    sendBytes(this.#backend.socket, bytes);
  }

  /** Reads from the client unless the server is slow, or the client is far enough ahead: else its end would go unnoticed. */
  #updateReading(): void {
    const isRelaying = this.#owner.isRelaying();
    const isBlocked = isRelaying && this.#backend.socket.writableNeedDrain;
    const isWaiting = !isRelaying || this.#tracker.isBusy || this.client.writableNeedDrain;
    if (isBlocked || (this.#isAhead && isWaiting)) this.client.pause();
    else if (this.client.isPaused()) this.client.resume();
  }
}
