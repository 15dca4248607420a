import type { Connection } from 'mysql2';
import type { Socket } from 'node:net';

/**
 * A command of our own on a mysql2 connection: mysql2 does the login, TLS, compression and framing, we write the
 * command and read the payloads as they are. mysql2 has no public type for this; `addCommand` and the members below
 * are what its own commands use (lib/base/connection.js, lib/commands/command.js).
 */
interface DriverPacket {
  buffer: Buffer;
  offset: number;
  end: number;
  isError(): boolean;
  asError(encoding: string): Error;
}

interface DriverConnection {
  stream: Socket;
  sequenceId: number;
  addCommand(command: DriverCommand): void;
  write(buffer: Buffer): void;
  pause(): void;
  resume(): void;
  _resetSequenceId(): void;
  _bumpSequenceId(packets: number): void;
}

interface DriverCommand {
  execute(packet: DriverPacket | undefined, connection: DriverConnection): boolean;
  onResult(error: Error): void;
  on(event: string, listener: () => void): void;
  emit(event: string): void;
  once(event: string, listener: () => void): void;
}

const PAYLOAD_MAX = 0xffffff;

/** What a raw command may do to its connection. */
export class RawIo {
  readonly #connection: DriverConnection;

  constructor(connection: DriverConnection) {
    this.#connection = connection;
  }

  /** Writes one payload, split into packets of the protocol; false when the socket asks to wait for `drained()`. */
  send(payload: Buffer): boolean {
    for (let offset = 0; ; offset += PAYLOAD_MAX) {
      const part = payload.subarray(offset, offset + PAYLOAD_MAX);
      const header = Buffer.allocUnsafe(4);
      header.writeUIntLE(part.length, 0, 3);
      header[3] = this.#connection.sequenceId;
      this.#connection._bumpSequenceId(1);
      this.#connection.write(header);
      if (part.length > 0) this.#connection.write(part);
      if (part.length < PAYLOAD_MAX) break;
    }
    return !this.#connection.stream.writableNeedDrain;
  }

  async drained(): Promise<void> {
    const { stream } = this.#connection;
    if (!stream.writableNeedDrain || stream.destroyed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    stream.once('drain', resolve);
    stream.once('close', resolve);
    await promise;
    stream.off('drain', resolve);
    stream.off('close', resolve);
  }

  /** Back-pressure: no further payload arrives until `resume`. */
  pause(): void {
    this.#connection.pause();
  }

  resume(): void {
    this.#connection.resume();
  }
}

export interface RawHandler {
  start(io: RawIo): void;
  /** A payload, valid only during the call (copy what is kept). True ends the command. An ERR packet goes to `fail`. */
  packet(payload: Buffer, io: RawIo): boolean;
  /** The server's ERR packet or the end of the connection. */
  fail(error: Error): void;
}

/** Queues the command; the handler hears everything that follows. */
export function runRaw(connection: Connection, handler: RawHandler): void {
  const driver = connection as unknown as DriverConnection;
  const io = new RawIo(driver);
  let started = false;
  const command: DriverCommand = {
    execute(packet) {
      if (!started) {
        started = true;
        driver._resetSequenceId();
        handler.start(io);
        return false;
      }
      if (packet === undefined) return false;
      if (packet.isError()) {
        handler.fail(packet.asError('utf8'));
        return true;
      }
      return handler.packet(packet.buffer.subarray(packet.offset, packet.end), io);
    },
    onResult: (error) => handler.fail(error),
    on: () => {},
    once: () => {},
    emit: () => {},
  };
  driver.addCommand(command);
}
