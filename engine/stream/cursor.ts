import { malformed } from './event.ts';

/** A position in the bytes of an event; reading past the end throws (node's RangeError becomes STREAM_EVENT_MALFORMED). */
export class Cursor {
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  uint8(): number {
    const value = this.bytes[this.at];
    if (value === undefined) throw malformed('an event that ends too early');
    this.at += 1;
    return value;
  }

  uint16(): number {
    return this.uint(2);
  }

  uint32(): number {
    return this.uint(4);
  }

  /** Up to 6 bytes. */
  uint(size: number): number {
    const start = this.take(size);
    return this.bytes.readUIntLE(start, size);
  }

  uint64(): bigint {
    return this.bytes.readBigUInt64LE(this.take(8));
  }

  /** The protocol's length-encoded integer. */
  lenenc(): number {
    const first = this.uint8();
    if (first < 0xfb) return first;
    if (first === 0xfc) return this.uint(2);
    if (first === 0xfd) return this.uint(3);
    if (first === 0xfe) return Number(this.uint64());
    throw malformed('a length that is none');
  }

  slice(size: number): Buffer {
    const start = this.take(size);
    return this.bytes.subarray(start, start + size);
  }

  latin1(size: number): string {
    const start = this.take(size);
    return this.bytes.toString('latin1', start, start + size);
  }

  skip(size: number): void {
    this.take(size);
  }

  /** Moves on and returns where it was. */
  take(size: number): number {
    const start = this.at;
    const end = start + size;
    if (!(end <= this.bytes.length) || size < 0) throw malformed('an event that ends too early');
    this.at = end;
    return start;
  }
}
