import { randomInt, randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { AppError } from '../../core/errors.ts';
import type { Flavor, StreamPosition } from '../../core/gtid.ts';
import type { ServerDefinition } from '../api.ts';
import { serverError, ServerConnection } from '../server/connection.ts';
import { runRaw, type RawIo } from '../server/raw-command.ts';
import { dumpCommand, dumpSession } from './dump-command.ts';
import { EventReader, malformed, type BinlogEvent } from './event.ts';
import { checkStart } from './start-check.ts';

export interface BinlogHandler {
  /**
   * An event with a verified checksum. Where it answers a promise nothing more is read until that is settled, which is
   * how the server is slowed. The body is valid until then. A throw ends the client.
   */
  event(event: BinlogEvent): Promise<void> | undefined;
  /** Once, at the end: the server's error, SERVER_GONE, or what `event` threw. */
  ended(error: Error): void;
}

export interface BinlogClientOptions {
  server: ServerDefinition;
  flavor: Flavor;
  from: StreamPosition;
  /** What the server must have: `from`, or a later position that was reached before. */
  has?: StreamPosition;
  handler: BinlogHandler;
  heartbeatMs?: number;
  /** Without a byte for so long the server is taken for gone. */
  silenceMaxMs?: number;
}

/** Of the server's own errors: it cannot serve this position any more (ER_SOURCE_FATAL_ERROR_READING_BINLOG). */
const ERRNO_FATAL_READING = 1236;
const TICK_MS = 1000;
/**
 * Until the first byte after the start (the server may have to look through many files for the position) and after a
 * pause (TCP with a closed window starts again at a probe whose timer has backed off; seen to take seconds).
 */
const WAKING_MAX_MS = 60_000;
/** So many ticks with bytes end that: the first may only bring what was on its way when the pause began. */
const WAKING_TICKS = 3;

/**
 * Reads the binary log as a replica does, with the command of our own on a connection of mysql2 (ADR 0003). Slowing it
 * down means pausing the socket; it never reconnects, that is for its user, who knows what has been applied.
 */
export class BinlogClient {
  readonly #connection: ServerConnection;
  readonly #handler: BinlogHandler;
  readonly #reader = new EventReader();
  readonly #silenceMaxMs: number;
  readonly #socket: Socket;
  #timer: NodeJS.Timeout | undefined;
  #io: RawIo | undefined;
  #paused = false;
  #ended = false;
  #bytesSeen = 0;
  #events = 0;
  #wakingTicks = 1;
  #silentTicks = 0;
  #lastHeardAtMs = Date.now();

  /** Rejects with STREAM_PURGED, STREAM_DIVERGED, STREAM_GTID_OFF where reading cannot begin at `from`. */
  static async open({
    server,
    flavor,
    from,
    has = from,
    handler,
    heartbeatMs = 1000,
    silenceMaxMs = 20_000,
  }: BinlogClientOptions): Promise<BinlogClient> {
    const dump = { from, serverId: randomInt(0x40000000, 0xfffffff0), heartbeatMs };
    const connection = await ServerConnection.open(server, { session: dumpSession(flavor, dump, randomUUID()) });
    try {
      await checkStart(connection, from, has);
    } catch (error) {
      connection.destroy();
      throw error;
    }
    const client = new BinlogClient(connection, handler, silenceMaxMs);
    client.#start(dumpCommand(dump));
    return client;
  }

  private constructor(connection: ServerConnection, handler: BinlogHandler, silenceMaxMs: number) {
    this.#connection = connection;
    this.#handler = handler;
    this.#silenceMaxMs = silenceMaxMs;
    // mysql2 has no public name for its socket.
    this.#socket = (connection.raw as unknown as { stream: Socket }).stream;
  }

  get lastHeardAtMs(): number {
    return this.#lastHeardAtMs;
  }

  close(): void {
    this.#ended = true;
    clearInterval(this.#timer);
    this.#connection.destroy();
    // mysql2 only half-closes: a dump thread does not read, so it would go on sending to a socket that nobody needs.
    this.#socket.destroy();
  }

  #start(command: Buffer): void {
    const { raw } = this.#connection;
    raw.on('error', (error: Error) => this.#end(serverError(this.#connection.server, error)));
    raw.on('end', () => this.#end(this.#gone('the server closed the connection')));
    runRaw(raw, {
      start: (io) => {
        this.#io = io;
        io.send(command);
      },
      packet: (payload) => this.#packet(payload),
      fail: (error) => this.#end(this.#refusal(error)),
    });
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  /**
   * Every event is a packet of its own behind an OK byte; an EOF packet ends the dump. The command is never told to be
   * done: mysql2 would make an error of each packet that was already received.
   */
  #packet(payload: Buffer): false {
    if (this.#ended) return false;
    this.#lastHeardAtMs = Date.now();
    this.#events += 1;
    try {
      if (payload[0] === 0xfe) throw this.#gone('the server ended the stream');
      if (payload[0] !== 0) throw malformed(`a packet that begins with ${payload[0]}`);
      const busy = this.#handler.event(this.#reader.read(payload.subarray(1)));
      if (busy !== undefined) void this.#pauseWhile(busy);
    } catch (error) {
      this.#end(asFailure(error));
    }
    return false;
  }

  /** What was received already waits as well: mysql2 keeps the packets of a paused connection. */
  async #pauseWhile(busy: Promise<void>): Promise<void> {
    this.#paused = true;
    this.#io?.pause();
    try {
      await busy;
    } catch (error) {
      this.#end(asFailure(error));
    }
    this.#paused = false;
    if (this.#ended) return;
    this.#silentTicks = 0;
    this.#bytesSeen = this.#socket.bytesRead;
    this.#wakingTicks = WAKING_TICKS;
    this.#io?.resume();
  }

  /**
   * Counts seconds in which no byte came, rather than comparing clocks: a busy event loop delays the ticks as much as
   * the reading. Bytes of the socket, not events: one event may take long.
   */
  #tick(): void {
    const { bytesRead } = this.#socket;
    if (this.#paused || bytesRead !== this.#bytesSeen) {
      if (!this.#paused && this.#events > 0 && this.#wakingTicks > 0) this.#wakingTicks -= 1;
      this.#bytesSeen = bytesRead;
      this.#silentTicks = 0;
      return;
    }
    this.#silentTicks += 1;
    const allowedMs = this.#wakingTicks > 0 ? Math.max(this.#silenceMaxMs, WAKING_MAX_MS) : this.#silenceMaxMs;
    if (this.#silentTicks * TICK_MS >= allowedMs) this.#end(this.#gone(`nothing was heard for ${allowedMs} ms`));
  }

  #gone(why: string): AppError {
    const { host, port } = this.#connection.server;
    return new AppError('SERVER_GONE', `the replication stream from ${host}:${port} broke: ${why}`, {
      details: { errno: 0, events: this.#events, bytesRead: this.#bytesSeen, socketPaused: this.#socket.isPaused() },
    });
  }

  #refusal(error: Error): AppError {
    const failure = serverError(this.#connection.server, error);
    if (failure.details['errno'] !== ERRNO_FATAL_READING) return failure;
    // One number for everything; the texts are the servers' own (Binlog_sender, MariaDB's gtid_find_binlog_pos).
    if (/purged|could not find GTID state|not in the master's binlog|could not find first log/i.test(error.message)) {
      return /not in the master's binlog/i.test(error.message)
        ? new AppError('STREAM_DIVERGED', error.message, { cause: error })
        : new AppError('STREAM_PURGED', error.message, { cause: error });
    }
    if (/more GTIDs than|has GTID position that is ahead|missing|errant/i.test(error.message))
      return new AppError('STREAM_DIVERGED', error.message, { cause: error });
    return failure;
  }

  #end(error: Error): void {
    if (this.#ended) return;
    this.close();
    this.#handler.ended(error);
  }
}

/** Reading past the end of an event is a RangeError of Buffer. */
function asFailure(error: unknown): Error {
  return error instanceof RangeError ? malformed(`an event that ends too early (${error.message})`) : (error as Error);
}
