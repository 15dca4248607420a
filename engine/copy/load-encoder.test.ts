import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { FieldRule } from './field-rules.ts';
import { LoadEncoder } from './load-encoder.ts';

const RULE: FieldRule = { select: 'c', assign: null, escape: true, warnsAtZero: false };

/** Reads lines back by the rules of LOAD DATA. */
function parse(data: Buffer): (string | null)[][] {
  const rows: (string | null)[][] = [];
  let row: (string | null)[] = [];
  let field: number[] | null = [];
  for (let at = 0; at < data.length; at += 1) {
    const byte = data[at] ?? 0;
    if (byte === 0x1c) {
      at += 1;
      const escaped = data[at] ?? 0;
      if (escaped === 0x4e) field = null;
      else field?.push(escaped);
    } else if (byte === 0x1d || byte === 0x1e) {
      row.push(field === null ? null : Buffer.from(field).toString('latin1'));
      field = [];
      if (byte === 0x1e) {
        rows.push(row);
        row = [];
      }
    } else field?.push(byte);
  }
  return rows;
}

/** A row of the text protocol. */
function textRow(values: (string | null)[]): Buffer {
  return Buffer.concat(
    values.map((value) => {
      if (value === null) return Buffer.from([0xfb]);
      const bytes = Buffer.from(value, 'latin1');
      const { length } = bytes;
      const head =
        length < 251
          ? [length]
          : length < 65_536
            ? [0xfc, length & 0xff, length >> 8]
            : [0xfd, length & 0xff, (length >> 8) & 0xff, length >> 16];
      return Buffer.concat([Buffer.from(head), bytes]);
    }),
  );
}

/** With `cuts`, each row comes in pieces of those lengths. */
function roundTrip(rows: (string | null)[][], cuts: number[] = []): (string | null)[][] {
  const parts: Buffer[] = [];
  const encoder = new LoadEncoder(
    Array.from({ length: rows[0]?.length ?? 0 }, () => RULE),
    (buffer, end) => {
      parts.push(Buffer.from(buffer.subarray(4, end)));
      encoder.recycle(buffer);
    },
  );
  const source = Buffer.concat(rows.map(textRow));
  let at = 0;
  for (const row of rows) {
    const { length } = textRow(row);
    if (cuts.length === 0) encoder.row(source, at, at + length);
    for (let from = at, i = 0; cuts.length > 0 && from < at + length; i += 1) {
      const to = Math.min(at + length, from + (cuts[i % cuts.length] ?? 1));
      encoder.piece(source, from, to, to === at + length);
      from = to;
    }
    at += length;
  }
  encoder.flush();
  return parse(Buffer.concat(parts));
}

const byte = fc.oneof(
  fc.constantFrom('\x1b', '\x1c', '\x1d', '\x1e', '\x1f', 'N', '\0', '\n', '\xfb'),
  fc.constant('x'),
  fc.integer({ min: 0, max: 255 }).map((code) => String.fromCodePoint(code)),
);
const value = fc.option(
  fc.oneof(
    fc.array(byte, { maxLength: 12 }).map((bytes) => bytes.join('')),
    fc.integer({ min: 0, max: 400 }).map((length) => 'p'.repeat(length)),
  ),
  { nil: null },
);

test('whatever the bytes, LOAD DATA reads the same rows', () => {
  fc.assert(
    fc.property(
      fc
        .integer({ min: 1, max: 5 })
        .chain((width) =>
          fc.array(fc.array(value, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 20 }),
        ),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
      (rows, cuts) => {
        expect(roundTrip(rows)).toEqual(rows);
        expect(roundTrip(rows, cuts)).toEqual(rows);
      },
    ),
    { numRuns: 500 },
  );
});

test('rows longer than a buffer, and very many of them', () => {
  const rows = [
    ['a', 'x'.repeat(100_000)],
    ['\x1c'.repeat(90_000), null],
    [null, 'y\x1e'.repeat(200_000)],
    ['b', ''],
  ];
  expect(roundTrip(rows)).toEqual(rows);
  expect(roundTrip(rows, [7, 60_000])).toEqual(rows);
  const many = Array.from({ length: 5000 }, (_, i) => [String(i), 'c'.repeat(i % 200), i % 7 === 0 ? null : '\x1d']);
  expect(roundTrip(many)).toEqual(many);
});
