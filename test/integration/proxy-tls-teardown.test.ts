import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { TLSSocket, connect as connectTls, createSecureContext } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CAPABILITY, combine } from '../../core/wire/capabilities.ts';
import { BackendConnection, type Destination } from '../../proxy/backend-connection.ts';
import { selfSignedCertificate } from '../../proxy/self-signed-certificate.ts';
import { connectWire } from '../../proxy/wire-socket.ts';
import { fakeGreeting } from '../support/fake-greeting.ts';

const ROUNDS = 30;
const CAPABILITIES = combine(
  CAPABILITY.PROTOCOL_41,
  CAPABILITY.SECURE_CONNECTION,
  CAPABILITY.PLUGIN_AUTH,
  CAPABILITY.CONNECT_WITH_DB,
  CAPABILITY.SSL,
);

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const cert = selfSignedCertificate(privateKey, { commonName: 'test', days: 2, now: new Date() });
const secureContext = createSecureContext({ key, cert, maxVersion: 'TLSv1.2' });

/** Greets as a database, and goes away after so much of the handshake. */
let bytesUntilGone = Infinity;
const server = createServer((socket) => {
  socket.on('error', () => {});
  socket.write(fakeGreeting(CAPABILITIES));
  socket.once('data', (request: Buffer) => {
    socket.pause();
    if (request.length > 36) socket.unshift(request.subarray(36));
    // Counted in what it reads: the hello, the key exchange, the login.
    const secure = new TLSSocket(socket, { isServer: true, secureContext });
    secure.on('error', () => {});
    const limit = bytesUntilGone;
    const timer = setInterval(() => {
      if (socket.bytesRead < limit && !socket.destroyed) return;
      clearInterval(timer);
      socket.resetAndDestroy();
    }, 1);
  });
});

function destination(tls: Partial<Destination['endpoint']['tls']>): Destination {
  const { port } = server.address() as AddressInfo;
  return {
    side: 'source',
    endpoint: { host: '127.0.0.1', port, tls: { mode: 'required', minVersion: 'TLSv1.2', ...tls } },
  };
}

async function logIn(tls: Partial<Destination['endpoint']['tls']>): Promise<string> {
  const opened = BackendConnection.open(
    destination(tls),
    {
      credentials: { user: Buffer.from('u'), password: Buffer.from('p') },
      serverLogin: { kind: 'captured' },
      client: null,
      capabilities: CAPABILITIES,
      maxPacketBytes: 1 << 24,
      collation: 45,
      attributes: null,
    },
    null,
  );
  return opened.then(
    () => 'opened',
    (error: Error) => error.message,
  );
}

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterAll(() => {
  server.close();
});

test.each([
  ['goes away', {}],
  ['shows a certificate of somebody else', { mode: 'verify_ca' }],
  ['speaks no version that we take', { minVersion: 'TLSv1.3' }],
] as const)('a server that %s at any moment of the TLS handshake is an error of one login', async (_, tls) => {
  for (let bytes = 40; bytes < 40 + ROUNDS * 20; bytes += 20) {
    bytesUntilGone = bytes;
    expect(await logIn(tls)).toMatch(/^Switchyard cannot reach the database server/);
  }
});

const MOMENTS: Record<string, (destroy: () => void, secure: TLSSocket, socket: Socket) => void> = {
  'at once': (destroy) => destroy(),
  'in the next tick': (destroy) => process.nextTick(destroy),
  'in the next turn': (destroy) => setImmediate(destroy),
  'some time within it': (destroy) => setTimeout(destroy, Math.random() * 4),
  'with the keys': (destroy, secure) => secure.once('keylog', destroy),
  'when it is done': (destroy, secure) => secure.once('secureConnect', destroy),
  'with its error': (destroy, secure) => secure.once('error', destroy),
};

/** What `backend-connection.ts` avoids all the same; a crash here ends the test's process. */
test.each(Object.keys(MOMENTS))('the socket below a TLS handshake taken away %s: no crash', async (moment) => {
  bytesUntilGone = Infinity;
  for (let round = 0; round < ROUNDS; round += 1) {
    const socket = connectWire({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
    socket.on('error', () => {});
    socket.resume();
    await once(socket, 'data');
    socket.write(Buffer.alloc(36));
    const secure = connectTls({ socket, rejectUnauthorized: moment === 'with its error' });
    secure.on('error', () => {});
    MOMENTS[moment]?.(() => socket.destroy(), secure, socket);
    if (!secure.destroyed) await new Promise((resolve) => secure.once('close', resolve));
  }
});
