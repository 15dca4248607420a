import { expect, test } from 'vitest';
import { ByteWriter } from './byte-writer.ts';
import { buildErr, buildErrBeforeHandshake, parseErr } from './err-packet.ts';
import { buildEof, buildOk, parseOk, statusFlagsOfEof, statusFlagsOfOk } from './ok-packet.ts';
import { SERVER_STATUS } from './server-status.ts';
import { parseSessionStateChanges } from './session-state-change.ts';

function block(type: number, data: Buffer): Buffer {
  return new ByteWriter().uint8(type).lenencBytes(data).toBuffer();
}

const pair = (name: string, value: string): Buffer =>
  new ByteWriter().lenencBytes(Buffer.from(name)).lenencBytes(Buffer.from(value)).toBuffer();

test('an OK packet is read as it was written, with and without state changes', () => {
  const plain = {
    header: 0,
    affectedRows: 300n,
    lastInsertId: 70_000n,
    statusFlags: 2,
    warnings: 3,
    message: Buffer.from('Rows matched: 1'),
    stateChanges: null,
  };
  expect(parseOk(buildOk(plain))).toEqual(plain);
  expect(statusFlagsOfOk(buildOk(plain))).toBe(2);
  const changed = {
    ...plain,
    statusFlags: 2 | SERVER_STATUS.SESSION_STATE_CHANGED,
    message: Buffer.alloc(0),
    stateChanges: block(0, pair('autocommit', 'OFF')),
  };
  expect(parseOk(buildOk(changed))).toEqual(changed);
  expect(parseOk(buildOk({ ...changed, stateChanges: null })).statusFlags).toBe(2);
});

test('the reports of trackers, several variables in one block as MariaDB sends them', () => {
  const info = Buffer.concat([
    block(0, Buffer.concat([pair('autocommit', 'OFF'), pair('time_zone', 'UTC')])),
    block(1, Buffer.concat([Buffer.of(4), Buffer.from('shop')])),
    // Regression: the flag has no length of its own.
    block(2, Buffer.from('1')),
    block(5, Buffer.from('\x08T_______')),
  ]);
  expect(parseSessionStateChanges(info)).toEqual([
    { kind: 'system-variable', name: 'autocommit', value: Buffer.from('OFF') },
    { kind: 'system-variable', name: 'time_zone', value: Buffer.from('UTC') },
    { kind: 'schema', name: 'shop' },
    { kind: 'state-changed' },
    { kind: 'other', type: 5 },
  ]);
});

test('errors with a state, and without one before the handshake', () => {
  const error = { code: 1045, sqlState: '28000', message: 'Access denied' };
  expect(parseErr(buildErr(error))).toEqual(error);
  expect(parseErr(buildErrBeforeHandshake(error))).toEqual({ ...error, sqlState: 'HY000' });
});

test('EOF packets', () => {
  expect(statusFlagsOfEof(buildEof(SERVER_STATUS.MORE_RESULTS))).toBe(SERVER_STATUS.MORE_RESULTS);
});
