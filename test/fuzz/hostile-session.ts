import { once } from 'node:events';
import type { Socket } from 'node:net';
import { buildErr } from '../../core/wire/err-packet.ts';
import { framePacket } from '../../core/wire/packet.ts';
import type { SeededRandom } from '../property/seeded-random.ts';
import { randomExchange } from './exchange.ts';
import { logIn, writeInPieces } from './fuzz-client.ts';
import { tokenOf, tokensIn } from './token.ts';
import { withinTime } from './within-time.ts';
import type { SessionOptions } from './honest-session.ts';

type Spoiler = (bytes: Buffer, random: SeededRandom) => Buffer;

/**
 * A session in which the client, the server or both break the protocol somewhere. Nothing is promised to it, but that it
 * ends when its client goes, and that it never sees a byte of another session's answers.
 */
export async function runHostileSession(options: SessionOptions): Promise<number> {
  const { server, port, random, user } = options;
  const deprecateEof = random.chance(0.7);
  const spoilsClient = random.chance(0.6);
  const spoilsServer = !spoilsClient || random.chance(0.3);
  const ended = Promise.withResolvers<void>();
  const next = () => randomExchange({ random, deprecateEof, token: tokenOf(user), afterError: false });
  server.scripts.set(user, {
    message(_, socket) {
      const { answer } = next();
      void writeInPieces(socket, spoilsServer && random.chance(0.5) ? spoil(answer, random) : answer, random).then(
        () => {
          if (spoilsServer && random.chance(0.2)) socket.destroy();
        },
      );
    },
    closed: () => ended.resolve(),
  });
  const client = await logIn(port, user, deprecateEof);
  const closed = once(client, 'close');
  const seen: Buffer[] = [];
  client.on('data', (chunk: Buffer) => seen.push(chunk));
  const commands = 1 + random.int(0, 5);
  for (let sent = 0; sent < commands && !client.destroyed; sent += 1) {
    const { command } = next();
    await writeInPieces(client, spoilsClient && random.chance(0.6) ? spoil(command, random) : command, random);
    if (random.chance(0.7)) await new Promise(setImmediate);
  }
  leave(client, random);
  await withinTime(Promise.all([closed, ended.promise]), `the end of the session of ${user}`);
  server.scripts.delete(user);
  const foreign = tokensIn(Buffer.concat(seen)).find((token) => token !== tokenOf(user));
  if (foreign !== undefined) throw new Error(`${user} saw an answer of ${foreign}`);
  return commands;
}

function spoil(bytes: Buffer, random: SeededRandom): Buffer {
  return random.pick(SPOILERS)(bytes, random);
}

const SPOILERS: readonly Spoiler[] = [
  (bytes, random) =>
    random.sample([...bytes.keys()], 1 + random.int(0, 3)).reduce((copy, at) => {
      copy[at] = random.int(0, 255);
      return copy;
    }, Buffer.from(bytes)),
  (bytes, random) => bytes.subarray(0, random.int(0, bytes.length)),
  (bytes, random) => Buffer.concat([bytes, noise(random)]),
  (bytes, random) => Buffer.concat([noise(random), bytes]),
  (bytes) => Buffer.concat([bytes, bytes]),
  (_, random) => noise(random),
  // A length that never comes.
  (bytes) => Buffer.concat([Buffer.of(0xff, 0xff, 0xff, 0), bytes]),
  // Sequence numbers out of order.
  (bytes, random) => {
    const copy = Buffer.from(bytes);
    if (copy.length > 3) copy[3] = random.int(0, 255);
    return copy;
  },
  // Nobody asked for it: the server is about to close.
  (bytes) => Buffer.concat([bytes, framePacket(buildErr({ code: 4031, sqlState: 'HY000', message: 'gone' }), 0)]),
  // Empty packets.
  (bytes) => Buffer.concat([Buffer.alloc(4), Buffer.of(0, 0, 0, 1), bytes]),
];

function noise(random: SeededRandom): Buffer {
  return Buffer.from(random.times(1 + random.int(0, 60), () => random.int(0, 255)));
}

function leave(client: Socket, random: SeededRandom): void {
  client.resume();
  const way = random.int(0, 2);
  if (way === 0) client.end();
  else if (way === 1) client.destroy();
  else client.resetAndDestroy();
}
