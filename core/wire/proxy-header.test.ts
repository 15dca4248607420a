import { expect, test } from 'vitest';
import { buildProxyHeader, parseProxyHeader } from './proxy-header.ts';

test.each([
  ['PROXY TCP4 10.1.2.3 10.0.0.1 5555 3306\r\n', { host: '10.1.2.3', port: 5555 }],
  ['PROXY TCP6 2001:db8::1 ::1 5555 3306\r\n', { host: '2001:db8::1', port: 5555 }],
  ['PROXY UNKNOWN\r\n', null],
])('%j', (text, client) => {
  const bytes = Buffer.from(`${text}rest`);
  expect(parseProxyHeader(bytes)).toEqual({ client, length: text.length });
  for (let end = 0; end < text.length; end += 1) expect(parseProxyHeader(bytes.subarray(0, end))).toBeUndefined();
});

test.each([
  [
    { host: '10.1.2.3', port: 65_535 },
    { host: '127.0.0.1', port: 3306 },
  ],
  [
    { host: '2001:db8::1', port: 1 },
    { host: '::1', port: 3306 },
  ],
])('version 2: %j', (client, server) => {
  const bytes = buildProxyHeader(client, server);
  expect(parseProxyHeader(Buffer.concat([bytes, Buffer.from('rest')]))).toEqual({ client, length: bytes.length });
  for (let end = 0; end < bytes.length; end += 1) expect(parseProxyHeader(bytes.subarray(0, end))).toBeUndefined();
});

test.each([
  'GET / HTTP/1.0\r\n',
  'PROXY TCP4 only\r\n',
  `PROXY ${'x'.repeat(200)}`,
  'PROXY TCP4 1.1.1.1 2.2.2.2 x 1\r\n',
])('refused: %j', (text) => {
  expect(() => parseProxyHeader(Buffer.from(text))).toThrow();
});
