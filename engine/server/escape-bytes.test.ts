import { expect, test } from 'vitest';
import { escapeBytes } from './connection.ts';

test('long values are escaped as short ones are, byte by byte', () => {
  const all = Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(byte)).join('');
  expect(escapeBytes(all.repeat(40))).toBe(escapeBytes(all).repeat(40));
  expect(escapeBytes(all)).toHaveLength(256 + 6);
});
