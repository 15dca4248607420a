import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MalformedPacketError } from './byte-reader.ts';
import { MAX_PAYLOAD_BYTES, MessageSplitter, framePacket } from './packet.ts';

test('messages come out whole however the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
      (payloads, cuts) => {
        const bytes = Buffer.concat(payloads.map((payload, index) => framePacket(Buffer.from(payload), index)));
        const splitter = new MessageSplitter(1000);
        const out: Buffer[] = [];
        let offset = 0;
        for (let turn = 0; offset < bytes.length; turn += 1) {
          const size = cuts[turn % cuts.length] ?? 1;
          splitter.push(bytes.subarray(offset, offset + size));
          offset += size;
          for (let message = splitter.next(); message !== undefined; message = splitter.next())
            out.push(Buffer.from(message.payload));
        }
        expect(out).toEqual(payloads.map((payload) => Buffer.from(payload)));
        expect(splitter.takeRest()).toHaveLength(0);
      },
    ),
  );
});

test.each([MAX_PAYLOAD_BYTES - 1, MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES + 1])('a payload of %i bytes', (length) => {
  const payload = Buffer.alloc(length, 7);
  const framed = framePacket(payload, 0);
  expect(framed).toHaveLength(length + (length >= MAX_PAYLOAD_BYTES ? 8 : 4));
  const splitter = new MessageSplitter(1 << 26);
  splitter.push(framed);
  const message = splitter.next();
  expect(message?.payload.equals(payload)).toBe(true);
  expect(message?.sequence).toBe(length >= MAX_PAYLOAD_BYTES ? 1 : 0);
});

test('a message over the bound is refused before it has come', () => {
  const splitter = new MessageSplitter(100);
  splitter.push(Buffer.of(101, 0, 0, 0));
  expect(() => splitter.next()).toThrow(MalformedPacketError);
});
