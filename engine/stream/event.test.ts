import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { EVENT, EventReader, HEADER_BYTES } from './event.ts';

function event(type: number, body: Buffer, { checksum = true, flags = 0 } = {}): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(1_700_000_000, 0);
  header.writeUInt8(type, 4);
  header.writeUInt32LE(7, 5);
  header.writeUInt32LE(HEADER_BYTES + body.length + (checksum ? 4 : 0), 9);
  header.writeUInt16LE(flags, 17);
  const bytes = Buffer.concat([header, body]);
  if (!checksum) return bytes;
  const tail = Buffer.alloc(4);
  tail.writeUInt32LE(crc32(bytes));
  return Buffer.concat([bytes, tail]);
}

const description = (algorithm: number) => event(EVENT.FORMAT_DESCRIPTION, Buffer.from([4, 0, algorithm]));

describe('EventReader', () => {
  it('takes the checksum off and verifies it', () => {
    const reader = new EventReader();
    reader.read(description(1));
    const read = reader.read(event(EVENT.XID, Buffer.from('12345678')));
    expect(read).toMatchObject({ type: EVENT.XID, timestamp: 1_700_000_000, serverId: 7 });
    expect(read.body.toString()).toBe('12345678');
  });

  it('finds every flipped byte (I4)', () => {
    const reader = new EventReader();
    reader.read(description(1));
    const whole = event(EVENT.XID, Buffer.from('12345678'));
    for (let at = 0; at < whole.length; at += 1) {
      // The artificial flag takes an event out of the verification: such events carry nothing that is used.
      if (at === 17 || at === 4) continue;
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] ?? 0) ^ 0x01;
      expect(() => reader.read(damaged), `byte ${at}`).toThrow(expect.objectContaining({ code: 'STREAM_CHECKSUM' }));
    }
  });

  it('reads a log without checksums whole', () => {
    const reader = new EventReader();
    reader.read(description(0));
    expect(reader.read(event(EVENT.XID, Buffer.from('12345678'), { checksum: false })).body.toString()).toBe(
      '12345678',
    );
  });

  it('refuses an unknown algorithm and a cut header', () => {
    const reader = new EventReader();
    expect(() => reader.read(description(2))).toThrow(expect.objectContaining({ code: 'STREAM_EVENT_UNKNOWN' }));
    expect(() => reader.read(Buffer.alloc(10))).toThrow(expect.objectContaining({ code: 'STREAM_EVENT_MALFORMED' }));
  });
});
