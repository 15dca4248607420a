import { once } from 'node:events';
import type { Socket } from 'node:net';
import { COMMAND } from '../../core/wire/command.ts';
import { buildOk } from '../../core/wire/ok-packet.ts';
import { framePacket } from '../../core/wire/packet.ts';
import { SERVER_STATUS } from '../../core/wire/server-status.ts';
import type { SeededRandom } from '../property/seeded-random.ts';
import { leavesError, randomExchange, type Exchange } from './exchange.ts';
import type { FakeServer } from './fake-server.ts';
import { logIn, writeInPieces } from './fuzz-client.ts';
import { tokenOf } from './token.ts';
import { withinTime } from './within-time.ts';

const AHEAD_MAX = 6;

export interface SessionOptions {
  server: FakeServer;
  port: number;
  random: SeededRandom;
  user: string;
}

/**
 * A session in which both sides keep to the protocol, with every way of cutting and joining packets, and several
 * commands ahead: each command has to reach the server as it was sent, in order, and the client has to get
 * exactly the bytes that the server answered. Throws with what differs. Returns the number of commands.
 */
export async function runHonestSession(options: SessionOptions, commands: number): Promise<number> {
  const { server, port, random, user } = options;
  const deprecateEof = random.chance(0.7);
  const queue: Exchange[] = [];
  const failures: string[] = [];
  let fileExpected: Exchange | undefined;
  let afterError = false;
  let answering = Promise.resolve();
  const answer = (socket: Socket, bytes: Buffer) => {
    answering = answering.then(() => writeInPieces(socket, bytes, random));
  };
  /** The server's list has one. */
  let hasError = false;
  server.scripts.set(user, {
    message(payload, socket) {
      if (fileExpected?.file != null) {
        if (payload.length > 0) return;
        answer(socket, fileExpected.file.answer);
        fileExpected = undefined;
        return;
      }
      if (payload[0] === COMMAND.STMT_CLOSE || payload[0] === COMMAND.QUIT) return;
      // The proxy asks what a failed statement changed, before a command whose own answer would hide it.
      if ((isPing(payload) && queue[0]?.kind !== 'ping') || isListSaidAgain(payload)) {
        answer(socket, framePacket(buildOk({ statusFlags: SERVER_STATUS.AUTOCOMMIT, warnings: Number(hasError) }), 1));
        return;
      }
      // A ping that the proxy answers itself is passed over by the command behind it, perhaps before the client has that answer.
      if (queue[0]?.kind === 'ping' && !isPing(payload)) queue.shift();
      const expected = queue.shift();
      if (expected === undefined || !expected.command.subarray(4).equals(payload)) {
        failures.push(`the server got ${printable(payload)} in place of ${printable(expected?.command.subarray(4))}`);
        socket.destroy();
        return;
      }
      hasError = leavesError(expected, hasError);
      if (expected.file !== null) fileExpected = expected;
      answer(socket, expected.answer);
    },
    closed() {},
  });
  const client = await logIn(port, user, deprecateEof);
  const received = new ReceivedBytes(client);
  for (let sent = 0; sent < commands;) {
    const batch: Exchange[] = [];
    const size = 1 + random.int(0, AHEAD_MAX - 1);
    // The client's file is sent when the server has asked: nothing can be ahead of it.
    while (batch.length < size && batch.at(-1)?.file == null) {
      const token = `${tokenOf(user)}${sent + batch.length}`;
      const next = randomExchange({ random, deprecateEof, token, afterError });
      afterError = leavesError(next, afterError);
      batch.push(next);
    }
    queue.push(...batch.filter(({ kind }) => kind !== 'close'));
    await writeInPieces(client, Buffer.concat(batch.map(({ command }) => command)), random);
    for (const sentOne of batch) {
      const { kind, answer: expected, file } = sentOne;
      await received.expect(expected, kind).catch((error: unknown) => {
        // What the server was asked tells more than what came of it.
        throw new Error([...failures, String(error)].join('; '), { cause: error });
      });
      // The proxy answers a ping itself while it has a question of its own.
      if (kind === 'ping' && queue[0] === sentOne) queue.shift();
      if (file === null) continue;
      await writeInPieces(client, file.bytes, random);
      await received.expect(file.answer, kind);
    }
    sent += batch.length;
    if (failures.length > 0) throw new Error(failures.join('; '));
  }
  const closed = once(client, 'close');
  client.end(Buffer.of(1, 0, 0, 0, COMMAND.QUIT));
  await closed;
  server.scripts.delete(user);
  if (received.rest > 0) throw new Error(`${received.rest} bytes behind the last answer`);
  return commands;
}

function isPing(payload: Buffer): boolean {
  return payload.length === 1 && payload[0] === COMMAND.PING;
}

/** With that ping: it leaves ROW_COUNT() as an error does. */
function isListSaidAgain(payload: Buffer): boolean {
  return payload[0] === COMMAND.QUERY && payload.includes('SHOW WARNINGS LIMIT 0');
}

/** Bytes in the order of their arrival, compared with what was expected. */
class ReceivedBytes {
  readonly #client: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #arrived = Promise.withResolvers<void>();
  #isClosed = false;

  constructor(client: Socket) {
    this.#client = client;
    client.on('data', (chunk: Buffer) => {
      this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
      this.#arrived.resolve();
    });
    client.on('close', () => {
      this.#isClosed = true;
      this.#arrived.resolve();
    });
  }

  get rest(): number {
    return this.#bytes.length;
  }

  async expect(expected: Buffer, kind: string): Promise<void> {
    while (this.#bytes.length < expected.length && !this.#isClosed) {
      this.#arrived = Promise.withResolvers();
      await withinTime(this.#arrived.promise, `the answer to ${kind}`);
    }
    const answer = this.#bytes.subarray(0, expected.length);
    if (!answer.equals(expected)) {
      this.#client.destroy();
      throw new Error(`the answer to ${kind} is ${printable(answer)} and not ${printable(expected)}`);
    }
    this.#bytes = this.#bytes.subarray(expected.length);
  }
}

export function printable(bytes: Buffer | undefined): string {
  return bytes === undefined ? 'nothing' : JSON.stringify(bytes.toString('latin1').slice(0, 300));
}
