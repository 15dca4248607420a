import { expect, test } from 'vitest';
import { COMMAND } from '../core/wire/command.ts';
import { MalformedPacketError } from '../core/wire/byte-reader.ts';
import { MAX_PAYLOAD_BYTES, framePacket } from '../core/wire/packet.ts';
import { ClientInput } from './client-input.ts';

const query = (text: string): Buffer => framePacket(Buffer.from(`\x03${text}`), 0);

test('commands come one by one, whatever the chunks were', () => {
  const bytes = Buffer.concat([query('one'), query('two')]);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const input = new ClientInput();
    const out: Buffer[] = [];
    for (const chunk of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
      input.push(chunk);
      while (input.peekCommand() !== undefined) out.push(input.takeCommand());
    }
    expect(out).toEqual([query('one'), query('two')]);
    expect(input.isEmpty).toBe(true);
    expect(input.isUploading).toBe(false);
  }
});

function passThrough(bytes: Buffer, chunkBytes: number): { firstBytes: number; all: Buffer; input: ClientInput } {
  const input = new ClientInput();
  const out: Buffer[] = [];
  for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
    input.push(bytes.subarray(offset, offset + chunkBytes));
    for (;;) {
      if (input.isUploading) {
        const piece = input.takeUpload();
        if (piece === undefined) break;
        out.push(piece.bytes);
      } else if (input.peekCommand() === undefined) break;
      else out.push(input.takeCommand());
    }
  }
  return { firstBytes: out[0]?.length ?? 0, all: Buffer.concat(out), input };
}

test.each([MAX_PAYLOAD_BYTES - 5, MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES + 5])(
  'a command of %i bytes passes in pieces, and the next one is recognised',
  (length) => {
    const large = framePacket(Buffer.alloc(length, 3), 0);
    const { firstBytes, all, input } = passThrough(Buffer.concat([large, query('next')]), 100_000);
    expect(firstBytes).toBeLessThan(1_200_000);
    expect(all.equals(Buffer.concat([large, query('next')]))).toBe(true);
    expect(input.isUploading).toBe(false);
  },
);

test('a large statement to prepare is gathered whole', () => {
  const large = framePacket(Buffer.concat([Buffer.of(COMMAND.STMT_PREPARE), Buffer.alloc(3_000_000, 65)]), 0);
  expect(passThrough(large, 500_000).firstBytes).toBe(large.length);
});

test('a file ends with its empty packet, which is not the end of a full one', () => {
  const input = new ClientInput();
  input.beginFile();
  const full = framePacket(Buffer.alloc(MAX_PAYLOAD_BYTES, 1), 2);
  input.push(
    Buffer.concat([full, framePacket(Buffer.from('rest'), 4), framePacket(Buffer.alloc(0), 5), query('next')]),
  );
  const ends: (number | null)[] = [];
  for (let piece = input.takeUpload(); piece !== undefined; piece = input.takeUpload()) ends.push(piece.fileEnd);
  expect(ends).toEqual([null, null, null, 5]);
  expect(input.peekCommand()).toBe(COMMAND.QUERY);
});

test('a command without a command byte is malformed', () => {
  const input = new ClientInput();
  input.push(Buffer.of(0, 0, 0, 0, 3));
  expect(() => input.peekCommand()).toThrow(MalformedPacketError);
});
