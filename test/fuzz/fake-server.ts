import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { CAPABILITY, combine } from '../../core/wire/capabilities.ts';
import { COMMAND } from '../../core/wire/command.ts';
import { parseHandshakeResponse } from '../../core/wire/handshake-response.ts';
import { buildOk } from '../../core/wire/ok-packet.ts';
import { framePacket, MessageSplitter } from '../../core/wire/packet.ts';
import { SERVER_STATUS } from '../../core/wire/server-status.ts';
import { fakeGreeting } from '../support/fake-greeting.ts';

export const SERVER_CAPABILITIES = combine(
  CAPABILITY.PROTOCOL_41,
  CAPABILITY.SECURE_CONNECTION,
  CAPABILITY.PLUGIN_AUTH,
  CAPABILITY.PLUGIN_AUTH_LENENC_CLIENT_DATA,
  CAPABILITY.CONNECT_WITH_DB,
  CAPABILITY.MULTI_STATEMENTS,
  CAPABILITY.MULTI_RESULTS,
  CAPABILITY.LOCAL_FILES,
  CAPABILITY.DEPRECATE_EOF,
  CAPABILITY.SESSION_TRACK,
);

/** What a session of a test does with what the proxy sends on for it. */
export interface ServerScript {
  /** A command, or a packet of the client's file. */
  message(payload: Buffer, socket: Socket): void;
  closed(): void;
}

/** A server that lets everybody in, without a password, and leaves the rest to the script of the user's name. */
export class FakeServer implements AsyncDisposable {
  readonly scripts = new Map<string, ServerScript>();
  readonly #server: Server = createServer((socket) => this.#serve(socket));
  readonly #sockets = new Set<Socket>();

  static async start(): Promise<FakeServer> {
    const fake = new FakeServer();
    fake.#server.listen(0, '127.0.0.1');
    await once(fake.#server, 'listening');
    return fake;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    const splitter = new MessageSplitter(1 << 26);
    let script: ServerScript | undefined;
    let isLoggedIn = false;
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#sockets.delete(socket);
      script?.closed();
    });
    socket.on('data', (chunk: Buffer) => {
      splitter.push(chunk);
      for (let message = splitter.next(); message !== undefined; message = splitter.next()) {
        if (!isLoggedIn) {
          isLoggedIn = true;
          script = this.scripts.get(parseHandshakeResponse(message.payload).user.toString());
          socket.write(framePacket(OK, message.sequence + 1));
        } else if (isTrackers(message.payload) || script === undefined) {
          socket.write(framePacket(OK, message.sequence + 1));
        } else {
          script.message(message.payload, socket);
        }
      }
    });
    socket.write(fakeGreeting(SERVER_CAPABILITIES));
  }
}

const OK = buildOk({ statusFlags: SERVER_STATUS.AUTOCOMMIT });

/** The proxy's own first command. */
function isTrackers(payload: Buffer): boolean {
  return payload[0] === COMMAND.QUERY && payload.includes('session_track');
}
