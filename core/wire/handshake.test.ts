import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MalformedPacketError } from './byte-reader.ts';
import { buildAuthSwitch, parseAuthSwitch } from './auth-exchange.ts';
import { CAPABILITY, combine } from './capabilities.ts';
import { parseChangeUser } from './change-user.ts';
import { buildHandshake, parseHandshake } from './handshake.ts';
import { buildHandshakeResponse, buildSslRequest, isSslRequest, parseHandshakeResponse } from './handshake-response.ts';
import {
  cachingSha2Response,
  decryptPassword,
  encryptPassword,
  isCachingSha2ResponseTo,
  nativePasswordResponse,
  newScramble,
} from './scramble.ts';

const CAPABILITIES = combine(
  CAPABILITY.PROTOCOL_41,
  CAPABILITY.SECURE_CONNECTION,
  CAPABILITY.PLUGIN_AUTH,
  CAPABILITY.PLUGIN_AUTH_LENENC_CLIENT_DATA,
  CAPABILITY.CONNECT_WITH_DB,
  CAPABILITY.CONNECT_ATTRS,
);

test('a greeting is read as it was written', () => {
  const handshake = {
    serverVersion: '9.7.4',
    connectionId: 77,
    scramble: newScramble(),
    capabilities: CAPABILITIES,
    collation: 255,
    statusFlags: 2,
    authPlugin: 'caching_sha2_password',
  };
  expect(parseHandshake(buildHandshake(handshake))).toEqual({ ...handshake, isMariaDb: false });
});

test('the version prefix that MariaDB adds for old replicas is no part of the version', () => {
  const bytes = buildHandshake({
    serverVersion: '5.5.5-10.11.6-MariaDB-log',
    connectionId: 1,
    scramble: newScramble(),
    capabilities: CAPABILITIES,
    collation: 45,
    statusFlags: 2,
    authPlugin: 'mysql_native_password',
  });
  expect(parseHandshake(bytes)).toMatchObject({ serverVersion: '10.11.6-MariaDB-log', isMariaDb: true });
});

test('a handshake response is read as it was written', () => {
  const response = {
    capabilities: CAPABILITIES,
    maxPacketBytes: 1 << 24,
    collation: 45,
    user: Buffer.from('jürgen'),
    authResponse: Buffer.alloc(32, 9),
    database: Buffer.from('shop'),
    authPlugin: 'caching_sha2_password',
    attributes: Buffer.from('\x03key\x05value'),
  };
  expect(parseHandshakeResponse(buildHandshakeResponse(response))).toEqual(response);
  const request = buildSslRequest({ ...response, capabilities: combine(CAPABILITIES, CAPABILITY.SSL) });
  expect(isSslRequest(request)).toBe(true);
  expect(isSslRequest(buildHandshakeResponse(response))).toBe(false);
});

test('hostile logins end in the one error that is expected', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      for (const parse of [
        parseHandshake,
        parseHandshakeResponse,
        (payload: Buffer) => parseChangeUser(payload, CAPABILITIES),
      ]) {
        try {
          parse(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedPacketError);
        }
      }
    }),
  );
});

test('an authentication switch', () => {
  const scramble = newScramble();
  expect(parseAuthSwitch(buildAuthSwitch({ plugin: 'caching_sha2_password', scramble }))).toMatchObject({
    plugin: 'caching_sha2_password',
    scramble,
  });
  expect(parseAuthSwitch(Buffer.of(0xfe)).plugin).toBe('mysql_old_password');
});

test('scrambles hold no zero', () => {
  for (let turn = 0; turn < 200; turn += 1) expect(newScramble().includes(0)).toBe(false);
});

test('answers to scrambles', () => {
  const scramble = Buffer.from('01234567890123456789');
  const password = Buffer.from('secret');
  expect(isCachingSha2ResponseTo(password, scramble, cachingSha2Response(password, scramble))).toBe(true);
  expect(isCachingSha2ResponseTo(Buffer.from('other'), scramble, cachingSha2Response(password, scramble))).toBe(false);
  expect(isCachingSha2ResponseTo(password, scramble, Buffer.alloc(0))).toBe(false);
  expect(nativePasswordResponse(Buffer.alloc(0), scramble)).toHaveLength(0);
  expect(nativePasswordResponse(password, scramble)).toHaveLength(20);
});

test('a password under the RSA key', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = Buffer.from(publicKey.export({ type: 'spki', format: 'pem' }));
  const scramble = newScramble();
  const encrypted = encryptPassword(Buffer.from('pässword'), scramble, pem);
  expect(decryptPassword(encrypted, scramble, privateKey).toString()).toBe('pässword');
});
