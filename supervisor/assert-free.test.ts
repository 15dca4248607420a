import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { freePort } from '../servers/free-port.ts';
import { assertFree } from './assert-free.ts';

test.each(['127.0.0.1', '0.0.0.0', 'localhost'])(
  '%s: clients that try again and again are refused while the port is tried, and none is accepted and reset',
  async (host) => {
    const port = await freePort();
    const over = new AbortController();
    const met = new Set<string>();
    const client = (async () => {
      while (!over.signal.aborted) {
        const socket = connect(port, '127.0.0.1');
        const { promise, resolve } = Promise.withResolvers<string>();
        socket.once('connect', () => resolve('accepted'));
        socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
        met.add(await promise);
        socket.destroy();
      }
    })();
    for (let round = 0; round < 200; round += 1) await assertFree({ host, port });
    over.abort();
    await client;
    expect([...met]).toEqual(['ECONNREFUSED']);
  },
);

test.each([
  ['127.0.0.1', false],
  ['0.0.0.0', false],
  ['127.0.0.1', true],
  ['0.0.0.0', true],
])('a port that is listened on at %s, shared: %s', async (host, reusePort) => {
  const server = createServer().listen({ host, port: 0, reusePort });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  for (const own of ['127.0.0.1', '0.0.0.0', 'localhost'])
    await expect(assertFree({ host: own, port })).rejects.toMatchObject({ code: 'PORT_IN_USE' });
  server.close();
});

test('an address that is not of this machine', async () => {
  await expect(assertFree({ host: '192.0.2.1', port: 3306 })).rejects.toThrow(
    'cannot listen on 192.0.2.1:3306: bind EADDRNOTAVAIL',
  );
});
