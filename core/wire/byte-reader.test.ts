import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteReader, MalformedPacketError } from './byte-reader.ts';
import { ByteWriter, encodeLenenc } from './byte-writer.ts';

test('length-encoded integers, at every boundary and in between', () => {
  const value = fc.oneof(
    fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
    fc.constantFrom(0n, 250n, 251n, 255n, 0xffffn, 0x1_0000n, 0xff_ffffn, 0x100_0000n),
  );
  fc.assert(
    fc.property(value, (number) => {
      expect(new ByteReader(encodeLenenc(number)).lenencBig()).toBe(number);
    }),
  );
  expect(encodeLenenc(251)).toEqual(Buffer.of(0xfc, 251, 0));
});

test('values written one after the other are read again', () => {
  const bytes = new ByteWriter()
    .uint8(1)
    .uint16(2)
    .uint32(3)
    .nulTerminated('four')
    .lenencBytes(Buffer.from('five'))
    .text('rest')
    .toBuffer();
  const reader = new ByteReader(bytes);
  expect([reader.uint8(), reader.uint16(), reader.uint32()]).toEqual([1, 2, 3]);
  expect(reader.nulTerminated().toString()).toBe('four');
  expect(reader.lenencBytes().toString()).toBe('five');
  expect(reader.rest().toString()).toBe('rest');
});

test('reading past the end of hostile bytes throws the one error that is expected', () => {
  const readers: ((reader: ByteReader) => unknown)[] = [
    (reader) => reader.uint32(),
    (reader) => reader.lenencBytes(),
    (reader) => reader.lenencBytesOrNull(),
    (reader) => reader.uint64(),
    (reader) => reader.bytes(5),
  ];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), fc.constantFrom(...readers), (bytes, read) => {
      try {
        read(new ByteReader(Buffer.from(bytes)));
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedPacketError);
      }
    }),
  );
});
