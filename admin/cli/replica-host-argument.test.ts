import { expect, test } from 'vitest';
import { parseReplicaHost } from './replica-host-argument.ts';

test.each([
  ['r1', { host: 'r1', port: 3306 }],
  ['r1.example:3307', { host: 'r1.example', port: 3307 }],
  ['[::1]:3307', { host: '::1', port: 3307 }],
  ['[fe80::1]', { host: 'fe80::1', port: 3306 }],
])('%s', (text, expected) => {
  expect(parseReplicaHost(text)).toEqual(expected);
});

test.each(['', ':3306', 'a:b', 'fe80::1'])('%s is refused', (text) => {
  expect(() => parseReplicaHost(text)).toThrow(expect.objectContaining({ code: 'REQUEST_INVALID' }));
});
