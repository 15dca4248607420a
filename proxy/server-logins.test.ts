import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { routingRecordSchema } from '../core/routing-record.ts';
import type { LoginProfile } from './backend-connection.ts';
import { CredentialCache } from './credentials.ts';
import { Router } from './router.ts';
import { ServerLogins } from './server-logins.ts';

/** Takes connections and says nothing. */
async function silentServer(): Promise<{ port: number; connected: () => number; end: () => void } & Disposable> {
  const server = createServer();
  let connected = 0;
  const ends = new Set<() => void>();
  server.on('connection', (socket) => {
    connected += 1;
    ends.add(() => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const end = () => {
    for (const endOne of ends) endOne();
    ends.clear();
  };
  const { port } = server.address() as AddressInfo;
  return {
    port,
    connected: () => connected,
    end,
    [Symbol.dispose]() {
      end();
      server.close();
    },
  };
}

const PROFILE: LoginProfile = {
  credentials: { user: Buffer.from('app'), password: Buffer.alloc(0) },
  serverLogin: { kind: 'captured' },
  client: null,
  capabilities: 0,
  maxPacketBytes: 1 << 24,
  collation: 45,
  attributes: null,
};

test('those who came in a hold do not all log in at once, and those who have gone meanwhile do not at all', async () => {
  using server = await silentServer();
  const primary = { host: '127.0.0.1', port: server.port, tls: { mode: 'disabled' } };
  const endpoints = { source: { primary, replica: null }, target: { primary, replica: null } };
  const record = routingRecordSchema.parse({
    epoch: 1,
    importId: 'i',
    database: 'app',
    primary: 'source',
    replica: 'source',
    hold: 'primary',
    deadlineMs: null,
    fenced: true,
    endpoints,
  });
  const router = new Router({ onChange: () => {} });
  router.apply(record);
  const closing = new AbortController().signal;
  const logins = new ServerLogins({
    context: { router, holdTimeoutMs: 60_000 },
    cache: new CredentialCache(),
    closing,
  });
  const clients = Array.from({ length: 80 }, () => new PassThrough());
  const answers = clients.map(async (client) =>
    logins.logIn('primary', { client, profile: PROFILE, database: null }).catch((error: Error) => error.message),
  );
  router.apply({ ...record, epoch: 2, hold: 'none', fenced: false });
  await expect.poll(server.connected).toBe(32);
  for (const client of clients.slice(40)) client.destroy();
  server.end();
  await expect.poll(server.connected).toBe(40);
  server.end();
  const messages = (await Promise.all(answers)).map(String);
  expect(messages.filter((message) => message.includes('cannot reach'))).toHaveLength(40);
  expect(server.connected()).toBe(40);
  router.close();
});
