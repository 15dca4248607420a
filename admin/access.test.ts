import { request } from 'undici';
import { expect, test } from 'vitest';
import { assertSafeToListen, isLoopback } from './access.ts';
import { startStandIn } from './stand-in/start-stand-in.ts';

const TOKEN = '0123456789abcdef';

test.each(['0.0.0.0', '::', '10.0.0.1', 'admin.example', '127.evil.example'])(
  '%s without a token is refused at the start',
  (host) => {
    expect(() => assertSafeToListen({ host, token: undefined })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
    expect(() => assertSafeToListen({ host, token: TOKEN })).not.toThrow();
  },
);

test.each(['127.0.0.1', '127.9.9.9', '::1', 'localhost', 'LOCALHOST'])('%s is a loopback address', (host) => {
  expect(isLoopback(host)).toBe(true);
});

test('with a token, the token decides', async () => {
  await using standIn = await startStandIn({ token: TOKEN });
  const statusWith = async (headers: Record<string, string>) =>
    (await request(`${standIn.url}/api/v1/imports`, { headers })).statusCode;
  expect(await statusWith({})).toBe(401);
  expect(await statusWith({ authorization: 'Bearer wrong' })).toBe(401);
  expect(await statusWith({ authorization: `Basic ${TOKEN}` })).toBe(401);
  expect(await statusWith({ authorization: `Bearer ${TOKEN}` })).toBe(200);
  expect(
    await statusWith({ authorization: `Bearer ${TOKEN}`, host: 'admin.example', origin: 'https://admin.example' }),
  ).toBe(200);
});

test('health, documentation and dashboard need no token, metrics do', async () => {
  await using standIn = await startStandIn({ token: TOKEN });
  const statusOf = async (path: string) => (await request(`${standIn.url}${path}`)).statusCode;
  for (const path of ['/livez', '/readyz', '/openapi.json', '/', '/dashboard/app.js'])
    expect([path, await statusOf(path)]).toEqual([path, 200]);
  for (const path of ['/metrics', '/api/v1/events', '/api/v1/sessions'])
    expect([path, await statusOf(path)]).toEqual([path, 401]);
});

test('without a token, a foreign Host (DNS rebinding) or Origin (cross-site) is refused', async () => {
  await using standIn = await startStandIn();
  const { port } = standIn.server.address;
  const statusWith = async (headers: Record<string, string>) =>
    (await request(`${standIn.url}/api/v1/imports`, { headers })).statusCode;
  expect(await statusWith({ host: `localhost:${port}` })).toBe(200);
  expect(await statusWith({ host: `[::1]:${port}` })).toBe(200);
  expect(await statusWith({ host: 'rebound.example' })).toBe(403);
  expect(await statusWith({ host: '127.0.0.1.evil.example' })).toBe(403);
  expect(await statusWith({ host: `127.0.0.1:${port}`, origin: `http://127.0.0.1:${port}` })).toBe(200);
  expect(await statusWith({ origin: 'https://evil.example' })).toBe(403);
  expect(await statusWith({ origin: 'null' })).toBe(403);
});
