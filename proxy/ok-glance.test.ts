import { expect, test } from 'vitest';
import { ByteWriter } from '../core/wire/byte-writer.ts';
import { buildOk, parseOk } from '../core/wire/ok-packet.ts';
import { SERVER_STATUS } from '../core/wire/server-status.ts';
import { glanceAtOk, clearChangeFlag } from './ok-glance.ts';

const changed = 2 | SERVER_STATUS.SESSION_STATE_CHANGED;

function report(name: string, value: string): Buffer {
  const pair = new ByteWriter().lenencBytes(Buffer.from(name)).lenencBytes(Buffer.from(value)).toBuffer();
  return new ByteWriter().uint8(0).lenencBytes(pair).toBuffer();
}

test.each(['', 'Rows matched: 1'])('the id of the statement alone is no change (message %j)', (message) => {
  const ok = {
    statusFlags: changed,
    affectedRows: 1n,
    message: Buffer.from(message),
    stateChanges: report('statement_id', '12345'),
  };
  const packet = buildOk(ok);
  const glance = glanceAtOk(packet);
  expect(glance?.statusFlags).toBe(changed);
  const stripped = packet.subarray(0, glance?.strippedBytes ?? 0);
  clearChangeFlag(stripped, changed);
  expect(parseOk(stripped)).toMatchObject({
    statusFlags: 2,
    affectedRows: 1n,
    message: Buffer.from(message),
    stateChanges: null,
  });
});

test('anything else is decoded whole', () => {
  expect(glanceAtOk(buildOk({ statusFlags: changed, stateChanges: report('autocommit', 'OFF') }))).toBeNull();
  const both = Buffer.concat([report('statement_id', '1'), report('autocommit', 'OFF')]);
  expect(glanceAtOk(buildOk({ statusFlags: changed, stateChanges: both }))).toBeNull();
  expect(glanceAtOk(buildOk({ statusFlags: 2, lastInsertId: 5n }))).toBeNull();
  expect(glanceAtOk(buildOk({ statusFlags: 2, affectedRows: 5n }))).toEqual({
    statusFlags: 2,
    affectedRows: 5,
    warnings: 0,
    strippedBytes: null,
  });
});
