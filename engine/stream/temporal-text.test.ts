import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  dateText,
  datetime2Text,
  oldDatetimeText,
  oldTimestampText,
  oldTimeText,
  time2Text,
  timestamp2Text,
} from './temporal-text.ts';

const bytes = (hex: string) => Buffer.from(hex, 'hex');

describe('dates and times of row images', () => {
  it.each([
    [(2024 << 9) | (2 << 5) | 29, '2024-02-29'],
    [0, '0000-00-00'],
    [(2024 << 9) | (11 << 5), '2024-11-00'],
  ])('DATE %d', (packed, text) => expect(dateText(packed)).toBe(text));

  it('DATETIME2 with an odd number of digits', () => {
    expect(datetime2Text(bytes('99b2bb008328'), 0, 1)).toBe('2024-02-29 16:02:03.4');
    expect(datetime2Text(bytes('800000000000'), 0, 1)).toBe('0000-00-00 00:00:00.0');
  });

  it.each([
    ['7fffff00', 2, '-00:00:01.00'],
    ['7fffffce', 2, '-00:00:00.50'],
    ['800000', 0, '00:00:00'],
    ['b46efb', 0, '838:59:59'],
    ['4b9105', 0, '-838:59:59'],
    ['7fffffffffff', 6, '-00:00:00.000001'],
  ])('TIME2 %s', (hex, digits, text) => expect(time2Text(bytes(hex), 0, digits)).toBe(text));

  it('TIMESTAMP2 for every second of 1970 to 2106', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 32 - 1 }), (seconds) => {
        const stored = Buffer.alloc(4);
        stored.writeUInt32BE(seconds);
        expect(timestamp2Text(stored, 0, 0)).toBe(
          new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' '),
        );
      }),
    );
    expect(timestamp2Text(bytes('00000000000000'), 0, 6)).toBe('0000-00-00 00:00:00.000000');
    expect(timestamp2Text(bytes('0000000100'), 0, 1)).toBe('1970-01-01 00:00:01.0');
  });

  it('the formats before 5.6', () => {
    const datetime = Buffer.alloc(8);
    datetime.writeBigUInt64LE(20_240_229_123_456n);
    expect(oldDatetimeText(datetime, 0)).toBe('2024-02-29 12:34:56');
    const time = Buffer.alloc(3);
    time.writeIntLE(-8_385_959, 0, 3);
    expect(oldTimeText(time, 0)).toBe('-838:59:59');
    expect(oldTimestampText(bytes('01000000'), 0)).toBe('1970-01-01 00:00:01');
  });
});
