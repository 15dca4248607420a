import { describe, expect, it } from 'vitest';
import { MariadbGtidPosition } from '../../core/gtid-mariadb.ts';
import { AnchorCheck } from './anchor.ts';
import { EVENT, type BinlogEvent } from './event.ts';

const OTHER_TYPE = EVENT.XID;

function event(type: number, serverId: number, timestamp: number, body = Buffer.alloc(0)): BinlogEvent {
  return { type, timestamp, serverId, ignorable: false, size: body.length, body };
}

/** MariaDB's. */
function start(sequence: number, timestamp: number): BinlogEvent {
  const body = Buffer.alloc(19);
  body.writeBigUInt64LE(BigInt(sequence));
  return event(EVENT.MARIADB_GTID, 7, timestamp, body);
}

function check(): AnchorCheck {
  return new AnchorCheck({ gtid: '0-7-5', stamp: 's1000 1', before: MariadbGtidPosition.parse('0-7-4') });
}

describe('the last transaction that was applied', () => {
  it('is passed over, and nothing behind it', () => {
    const anchor = check();
    expect(anchor.takes(event(EVENT.FORMAT_DESCRIPTION, 1, 0))).toBe(false);
    expect(anchor.takes(start(5, 1000))).toBe(true);
    expect(anchor.takes(event(OTHER_TYPE, 7, 1000))).toBe(true);
    expect(anchor.done).toBe(false);
    expect(anchor.takes(start(6, 1001))).toBe(false);
    expect(anchor.takes(event(OTHER_TYPE, 7, 1001))).toBe(false);
    expect(anchor.done).toBe(true);
  });

  it('may have been committed at no other time in the same log', () => {
    const anchor = check();
    anchor.takes(event(EVENT.FORMAT_DESCRIPTION, 1, 0));
    expect(() => anchor.takes(start(5, 1001))).toThrow(expect.objectContaining({ code: 'STREAM_DIVERGED' }));
  });

  it('may have another second in the log of a replica that has become primary', () => {
    const anchor = check();
    anchor.takes(event(EVENT.FORMAT_DESCRIPTION, 2, 0));
    expect(anchor.takes(start(5, 1001))).toBe(true);
  });
});
