import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { CAPABILITY, without } from '../../core/wire/capabilities.ts';
import { buildHandshakeResponse } from '../../core/wire/handshake-response.ts';
import { framePacket } from '../../core/wire/packet.ts';
import type { SeededRandom } from '../property/seeded-random.ts';
import { SERVER_CAPABILITIES } from './fake-server.ts';

/** Logs in as `user`, without a password; resolves when the proxy let it in. */
export async function logIn(port: number, user: string, deprecateEof: boolean): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.on('error', () => {});
  await once(socket, 'data');
  const removed = deprecateEof ? 0 : CAPABILITY.DEPRECATE_EOF;
  const response = buildHandshakeResponse({
    capabilities: without(SERVER_CAPABILITIES, removed),
    maxPacketBytes: 1 << 24,
    collation: 45,
    user: Buffer.from(user),
    authResponse: Buffer.alloc(0),
    database: Buffer.from('app'),
    authPlugin: 'caching_sha2_password',
    attributes: null,
  });
  socket.write(framePacket(response, 1));
  const [answer] = (await once(socket, 'data')) as [Buffer];
  if (answer[4] !== 0) throw new Error(`the login of ${user} was refused: ${answer.toString('latin1')}`);
  return socket;
}

/** Writes `bytes` cut at random places, now and then with a turn of the event loop between the pieces. */
export async function writeInPieces(socket: Socket, bytes: Buffer, random: SeededRandom): Promise<void> {
  if (random.chance(0.5)) {
    socket.write(bytes);
    return;
  }
  const isTiny = random.chance(0.1);
  for (let at = 0; at < bytes.length && !socket.destroyed;) {
    const end = at + (isTiny && bytes.length < 200 ? 1 : 1 + random.int(0, Math.max(1, bytes.length >> 1)));
    socket.write(bytes.subarray(at, end));
    at = end;
    if (random.chance(0.3)) await new Promise(setImmediate);
  }
}
