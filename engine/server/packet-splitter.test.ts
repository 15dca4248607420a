import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PacketSplitter } from './packet-splitter.ts';
import { packets } from './socket-lease.ts';

test('payloads come out whole however the socket cuts them', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
      (payloads, cuts) => {
        const stream = Buffer.concat(payloads.map((payload, i) => packets(Buffer.from(payload), i)));
        const heard: string[] = [];
        const splitter = new PacketSplitter((buffer, start, end) => heard.push(buffer.toString('hex', start, end)));
        for (let at = 0, i = 0; at < stream.length; i += 1) {
          const length = cuts[i % cuts.length] ?? 1;
          splitter.push(stream.subarray(at, at + length));
          at += length;
        }
        expect(heard).toEqual(payloads.map((payload) => Buffer.from(payload).toString('hex')));
      },
    ),
  );
});

test('a payload of more than 16 MiB is joined', () => {
  const payload = Buffer.alloc(0xffffff + 5, 7);
  const stream = packets(payload, 0);
  const heard: Buffer[] = [];
  const splitter = new PacketSplitter((buffer, start, end) => heard.push(Buffer.from(buffer.subarray(start, end))));
  for (let at = 0; at < stream.length; at += 65_536) splitter.push(stream.subarray(at, at + 65_536));
  expect(heard.map((buffer) => buffer.equals(payload))).toEqual([true]);
});

test('a long payload comes in pieces where they are taken, short ones around it whole', () => {
  const long = Buffer.alloc(0xffffff + 300_000, 7);
  const exact = Buffer.alloc(0xffffff, 8);
  const payloads = [Buffer.from('before'), long, Buffer.from('between'), exact, Buffer.alloc(0), Buffer.from('after')];
  const stream = Buffer.concat(payloads.map((payload, i) => packets(payload, i)));
  for (const step of [65_536, 1 << 20, 999_983, stream.length]) {
    const heard: string[] = [];
    let parts: Buffer[] = [];
    const note = (payload: Buffer) => heard.push(`${payload.length} ${payload.subarray(-9).toString('hex')}`);
    const splitter = new PacketSplitter(
      (buffer, start, end) => note(buffer.subarray(start, end)),
      (buffer, start, end, isLast) => {
        parts.push(Buffer.from(buffer.subarray(start, end)));
        if (!isLast) return;
        note(Buffer.concat(parts));
        parts = [];
      },
    );
    for (let at = 0; at < stream.length; at += step) splitter.push(stream.subarray(at, at + step));
    expect(heard).toEqual(payloads.map((payload) => `${payload.length} ${payload.subarray(-9).toString('hex')}`));
  }
});
