import { Socket } from 'node:net';
import { AUTH_MESSAGE, CACHING_SHA2, parseAuthSwitch } from '../../core/wire/auth-exchange.ts';
import { ByteWriter } from '../../core/wire/byte-writer.ts';
import { CAPABILITY, combine, hasCapability } from '../../core/wire/capabilities.ts';
import { COMMAND } from '../../core/wire/command.ts';
import { framePacket } from '../../core/wire/packet.ts';
import { firstAuthResponse } from '../../proxy/backend-authentication.ts';
import { BackendConnection } from '../../proxy/backend-connection.ts';
import { ConnectionLostError, type MessageStream } from '../../proxy/message-stream.ts';
import { ResponseWalker } from '../../proxy/response-walker.ts';

const SENTINEL = Buffer.from('the end of the answer before this one');

/** A client that says what it is told, byte by byte, and hands back the packets of the answer. */
export class RawClient implements AsyncDisposable {
  readonly #connection: BackendConnection;
  readonly #stream: MessageStream;
  readonly #deprecateEof: boolean;

  private constructor(connection: BackendConnection) {
    this.#deprecateEof = hasCapability(connection.capabilities, CAPABILITY.DEPRECATE_EOF);
    this.#connection = connection;
    this.#stream = connection.stream();
    connection.socket.resume();
  }

  static async open(
    port: number,
    {
      capabilities = [],
      collation = 45,
      database = 'app',
    }: { capabilities?: number[]; collation?: number; database?: string } = {},
  ): Promise<RawClient> {
    const credentials = { user: Buffer.from('app'), password: Buffer.from('app-password') };
    const flags = combine(
      CAPABILITY.PROTOCOL_41,
      CAPABILITY.LONG_PASSWORD,
      CAPABILITY.LONG_FLAG,
      CAPABILITY.TRANSACTIONS,
      CAPABILITY.MULTI_RESULTS,
      CAPABILITY.PLUGIN_AUTH,
      CAPABILITY.SECURE_CONNECTION,
      CAPABILITY.PS_MULTI_RESULTS,
      ...capabilities,
    );
    const connection = await BackendConnection.open(
      { side: 'source', endpoint: { host: '127.0.0.1', port, tls: { mode: 'preferred', minVersion: 'TLSv1.2' } } },
      {
        credentials,
        serverLogin: { kind: 'captured' },
        client: null,
        capabilities: flags,
        maxPacketBytes: 1 << 26,
        collation,
        attributes: null,
      },
      Buffer.from(database),
    );
    return new RawClient(connection);
  }

  /** Every packet of the answer; 'closed' at the end of the connection. */
  async ask(command: Buffer): Promise<(Buffer | 'closed')[]> {
    const packets: (Buffer | 'closed')[] = [];
    try {
      this.#stream.writeCommand(command);
      this.#stream.writeCommand(
        Buffer.concat([Buffer.of(COMMAND.QUERY), Buffer.from(`SELECT '${SENTINEL.toString()}'`)]),
      );
      for (;;) {
        const packet = Buffer.from(await this.#stream.next());
        packets.push(packet);
        // The row of the sentinel: its length, itself.
        if (packet.length === SENTINEL.length + 1 && packet.subarray(1).equals(SENTINEL)) break;
      }
      await this.#stream.next();
    } catch {
      packets.push('closed');
    }
    return packets;
  }

  /** Of this end of the connection. */
  get localPort(): number {
    const { socket } = this.#connection;
    return socket instanceof Socket ? (socket.localPort ?? 0) : 0;
  }

  /** The same, with nothing sent behind the command: what the server remembers of it stays. */
  async askAlone(command: Buffer): Promise<(Buffer | 'closed')[]> {
    const packets: (Buffer | 'closed')[] = [];
    const response = { isFinished: false };
    const walker = new ResponseWalker(
      {
        forward: () => {},
        ok: () => null,
        status: () => {},
        error: () => null,
        prepared: () => {},
        localInfile: () => {},
        unsolicited: () => {},
        finished: () => {
          response.isFinished = true;
        },
      },
      { deprecateEof: this.#deprecateEof },
    );
    walker.begin(command.readUInt8(0));
    try {
      this.#stream.writeCommand(command);
      for (let sequence = 1; !response.isFinished; sequence += 1) {
        const packet = Buffer.from(await this.#stream.next());
        packets.push(packet);
        walker.feed(framePacket(packet, sequence));
      }
    } catch (error) {
      if (!(error instanceof ConnectionLostError)) throw error;
      packets.push('closed');
    }
    return packets;
  }

  /** A command that has no answer. */
  tell(command: Buffer): void {
    this.#stream.writeCommand(command);
  }

  /** COM_CHANGE_USER of the same user; returns the first byte of the last answer. `whenAsked`: before the password is told. */
  async changeUser(collation: number, whenAsked?: () => Promise<void>): Promise<number | undefined> {
    const command = new ByteWriter()
      .uint8(COMMAND.CHANGE_USER)
      .nulTerminated('app')
      .uint8(0)
      .nulTerminated('app')
      .uint16(collation)
      .nulTerminated('switchyard_test');
    this.#stream.writeCommand(command.toBuffer());
    const password = Buffer.from('app-password');
    for (;;) {
      const payload = await this.#stream.next();
      if (payload[0] === AUTH_MESSAGE.SWITCH) {
        await whenAsked?.();
        // MariaDB asks by a plugin of its own.
        const response = firstAuthResponse(parseAuthSwitch(payload), password, true);
        if (response === null) throw new Error('a plugin that this client does not know');
        this.#stream.write(response);
      } else if (payload[0] === AUTH_MESSAGE.MORE_DATA) {
        if (payload[1] === CACHING_SHA2.FULL_AUTHENTICATION)
          this.#stream.write(Buffer.concat([password, Buffer.of(0)]));
      } else {
        return payload[0];
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.destroy();
  }
}
