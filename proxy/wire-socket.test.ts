import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { acceptWire, connectWire, owned, pourInto, sendBytes, stopPouring } from './wire-socket.ts';

const stack: AsyncDisposableStack[] = [];
afterEach(async () => {
  for (const one of stack.splice(0)) await one.disposeAsync();
});

/** A listener whose connections go through `acceptWire`; ends with the test. */
async function listenWire(onConnection: (socket: Socket) => void): Promise<number> {
  const ends = new AsyncDisposableStack();
  stack.push(ends);
  const server = createServer({ pauseOnConnect: true }, (accepted) => {
    const socket = acceptWire(accepted);
    ends.defer(() => void socket.destroy());
    socket.on('error', () => socket.destroy());
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // Resolves only when every connection was counted out: the takeover must not lose one.
  ends.defer(async () => {
    server.close();
    await once(server, 'close');
  });
  return (server.address() as AddressInfo).port;
}

function plainClient(port: number): Socket {
  const ends = new AsyncDisposableStack();
  stack.push(ends);
  const socket = connect(port, '127.0.0.1');
  ends.defer(() => void socket.destroy());
  return socket;
}

async function received(socket: Socket, bytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    parts.push(chunk);
    length += chunk.length;
    if (length >= bytes) break;
  }
  return Buffer.concat(parts);
}

function pattern(bytes: number, seed: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: bytes }, (_, index) => (index * 31 + (index >> 8) * seed) & 0xff));
}

test('what a slow reader has not taken yet is not overwritten by what others send', async () => {
  const big = pattern(12 << 20, 7);
  const toSlow = Promise.withResolvers<Socket>();
  const slowPort = await listenWire(toSlow.resolve);
  const slow = plainClient(slowPort);
  const slowSide = await toSlow.promise;
  let relayed = 0;
  let hadToWait = false;
  const done = Promise.withResolvers<void>();
  const relayPort = await listenWire((socket) => {
    pourInto(socket, (bytes) => {
      relayed += bytes.length;
      // Everything, whatever the reader takes: a part of it must wait in memory.
      if (!sendBytes(slowSide, bytes)) hadToWait = true;
      if (relayed === big.length) done.resolve();
    });
    socket.resume();
  });
  const noisePort = await listenWire((socket) => {
    pourInto(socket, (bytes) => sendBytes(socket, bytes));
    socket.resume();
  });
  const sender = plainClient(relayPort);
  sender.write(big);
  await done.promise;
  expect(hadToWait).toBe(true);
  const noise = plainClient(noisePort);
  noise.write(Buffer.alloc(1 << 18, 0xee));
  expect(await received(noise, 1 << 18)).toHaveLength(1 << 18);
  expect((await received(slow, big.length)).equals(big)).toBe(true);
});

test('without a sink a listener to data owns what it gets; nothing is lost in between', async () => {
  const accepted = Promise.withResolvers<Socket>();
  const port = await listenWire(accepted.resolve);
  const client = connectWire({ port, host: '127.0.0.1' });
  await once(client, 'connect');
  const server = await accepted.promise;
  // Nobody listens yet on either side.
  sendBytes(client, Buffer.from('first'));
  sendBytes(server, Buffer.from('greeting'));
  const [first] = (await Promise.all([once(server.resume(), 'data'), once(client.resume(), 'data')])).map(
    ([bytes]) => bytes as Buffer,
  );
  const lent: Buffer[] = [];
  const sunk = Promise.withResolvers<void>();
  const sink = (bytes: Buffer) => {
    lent.push(owned(bytes));
    sunk.resolve();
  };
  pourInto(server, sink);
  sendBytes(client, Buffer.from('other'));
  await sunk.promise;
  stopPouring(server, sink);
  expect(first?.toString()).toBe('first');
  expect(Buffer.concat(lent).toString()).toBe('other');
  sendBytes(client, Buffer.from('third'));
  const [third] = (await once(server, 'data')) as Buffer[];
  expect(third?.toString()).toBe('third');
  client.end();
  await once(server, 'close');
  client.destroy();
});

test('a write after the other side is gone is an error of the socket, not of the writer', async () => {
  const accepted = Promise.withResolvers<Socket>();
  const port = await listenWire(accepted.resolve);
  const client = plainClient(port);
  const server = await accepted.promise;
  client.resetAndDestroy();
  // Not `once`, which an error would reject.
  const closed = Promise.withResolvers<void>();
  server.once('close', () => closed.resolve());
  while (!server.destroyed) {
    sendBytes(server, Buffer.alloc(1 << 16));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await closed.promise;
  expect(sendBytes(server, Buffer.from('late'))).toBe(false);
});
