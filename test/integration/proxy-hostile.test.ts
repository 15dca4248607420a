import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildErr, parseErr } from '../../core/wire/err-packet.ts';
import { CAPABILITY, combine } from '../../core/wire/capabilities.ts';
import { buildHandshakeResponse } from '../../core/wire/handshake-response.ts';
import { buildOk } from '../../core/wire/ok-packet.ts';
import { framePacket } from '../../core/wire/packet.ts';
import { ProxyHarness } from '../support/proxy-harness.ts';
import { fakeGreeting } from '../support/fake-greeting.ts';

/** A server that lets everybody in and answers every command with what the test put into `answer`. */
const server = createServer((socket) => serve(socket));
let answer: (command: Buffer) => Buffer = () => framePacket(buildOk({ statusFlags: 2 }), 1);
let closesBehindAnswer = false;
let proxy: ProxyHarness;

const CAPABILITIES = combine(
  CAPABILITY.PROTOCOL_41,
  CAPABILITY.SECURE_CONNECTION,
  CAPABILITY.PLUGIN_AUTH,
  CAPABILITY.PLUGIN_AUTH_LENENC_CLIENT_DATA,
  CAPABILITY.CONNECT_WITH_DB,
  CAPABILITY.DEPRECATE_EOF,
  CAPABILITY.SESSION_TRACK,
);

function serve(socket: Socket): void {
  socket.on('error', () => {});
  socket.write(fakeGreeting(CAPABILITIES));
  let messages = 0;
  socket.on('data', (chunk: Buffer) => {
    messages += 1;
    // The login, then the trackers.
    if (messages === 1) socket.write(framePacket(buildOk({ statusFlags: 2 }), 2));
    else if (messages === 2) socket.write(framePacket(buildOk({ statusFlags: 2 }), 1));
    else if (closesBehindAnswer) socket.end(answer(chunk));
    else socket.write(answer(chunk));
  });
}

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  proxy = await ProxyHarness.start({ source: address, target: address });
});

afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  server.close();
});

async function open(): Promise<Socket> {
  const socket = connect(proxy.port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'data');
  return socket;
}

/** Without a password, so that no exchange follows. */
const LOGIN = framePacket(
  buildHandshakeResponse({
    capabilities: CAPABILITIES,
    maxPacketBytes: 1 << 24,
    collation: 45,
    user: Buffer.from('u'),
    authResponse: Buffer.alloc(0),
    database: Buffer.from('app'),
    authPlugin: 'caching_sha2_password',
    attributes: null,
  }),
  1,
);

async function loggedIn(): Promise<Socket> {
  const socket = await open();
  socket.write(LOGIN);
  const [ok] = (await once(socket, 'data')) as [Buffer];
  expect(ok[4]).toBe(0);
  return socket;
}

async function isAlive(): Promise<void> {
  answer = () => framePacket(buildOk({ statusFlags: 2 }), 1);
  const socket = await loggedIn();
  socket.write(framePacket(Buffer.of(0x0e), 0));
  const [reply] = (await once(socket, 'data')) as [Buffer];
  expect(reply[4]).toBe(0);
  socket.destroy();
}

test('random bytes in place of a login', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
      const socket = await open();
      socket.resume();
      socket.end(Buffer.from(bytes));
      await once(socket, 'close');
    }),
    { numRuns: 60 },
  );
  await isAlive();
});

test('random commands', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 120 }), async (bytes) => {
      const socket = await loggedIn();
      socket.resume();
      socket.write(framePacket(Buffer.from(bytes), 0));
      socket.end(Buffer.from(bytes));
      await once(socket, 'close');
    }),
    { numRuns: 100 },
  );
  await isAlive();
});

test('a server that answers with random bytes ends its session only', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 1, maxLength: 120 }),
      fc.constantFrom(0x03, 0x16, 0x1c, 0x04, 0x1b),
      async (bytes, command) => {
        answer = () => Buffer.from(bytes);
        const socket = await loggedIn();
        socket.resume();
        socket.write(framePacket(Buffer.concat([Buffer.of(command), Buffer.from('SELECT 1')]), 0));
        socket.end();
        await once(socket, 'close');
      },
    ),
    { numRuns: 100 },
  );
  await isAlive();
});

test('a server whose packets end too early ends its session only', async () => {
  closesBehindAnswer = true;
  for (const command of [0x03, 0x16, 0x04, 0x1b, 0x09]) {
    for (const first of [0x00, 0x01, 0xfb, 0xfe, 0xff]) {
      for (let length = 1; length < 12; length += 1) {
        answer = () => framePacket(Buffer.concat([Buffer.of(first), Buffer.alloc(length - 1, 0xfc)]), 1);
        const socket = await loggedIn();
        socket.resume();
        socket.write(framePacket(Buffer.concat([Buffer.of(command), Buffer.from('SELECT 1')]), 0));
        await once(socket, 'close');
      }
    }
  }
  closesBehindAnswer = false;
  await isAlive();
});

test('the login in pieces, and commands in one piece behind it', async () => {
  answer = () => framePacket(buildOk({ statusFlags: 2 }), 1);
  const socket = await open();
  const ping = framePacket(Buffer.of(0x0e), 0);
  for (const byte of LOGIN) socket.write(Buffer.of(byte));
  socket.write(Buffer.concat([ping, ping, ping]));
  let received = Buffer.alloc(0);
  while (received.length < 4 * 11) received = Buffer.concat([received, ((await once(socket, 'data')) as [Buffer])[0]]);
  expect(received).toHaveLength(44);
  socket.destroy();
});

test('an error that the server sends unasked reaches the client with its own words', async () => {
  answer = () =>
    Buffer.concat([
      framePacket(buildOk({ statusFlags: 2 }), 1),
      framePacket(buildErr({ code: 4031, sqlState: 'HY000', message: 'idle too long' }), 0),
    ]);
  const socket = await loggedIn();
  socket.write(framePacket(Buffer.of(0x0e), 0));
  let received = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])));
  await once(socket, 'close');
  expect(parseErr(received.subarray(11 + 4))).toMatchObject({ code: 4031, message: 'idle too long' });
});

test('a health checker of before 4.1 gets a clear refusal', async () => {
  const socket = await open();
  socket.write(framePacket(Buffer.concat([Buffer.of(0, 0, 0, 0, 0), Buffer.from('check\0')]), 1));
  const [reply] = (await once(socket, 'data')) as [Buffer];
  expect(parseErr(reply.subarray(4)).code).toBe(1251);
});
