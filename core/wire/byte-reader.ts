/** The bytes ended before the value did, or a value has a form that the protocol does not know. */
export class MalformedPacketError extends Error {
  override readonly name = 'MalformedPacketError';
}

/**
 * Reads the protocol's basic types from one payload. Everything that reads past the end throws MalformedPacketError:
 * what comes from the network is never trusted.
 */
export class ByteReader {
  readonly #bytes: Buffer;
  #offset: number;

  constructor(bytes: Buffer, offset = 0) {
    this.#bytes = bytes;
    this.#offset = offset;
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  uint16(): number {
    return this.#bytes.readUInt16LE(this.#take(2));
  }

  uint24(): number {
    return this.#bytes.readUIntLE(this.#take(3), 3);
  }

  uint32(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }

  uint64(): bigint {
    return this.#bytes.readBigUInt64LE(this.#take(8));
  }

  skip(length: number): void {
    this.#take(length);
  }

  bytes(length: number): Buffer {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  rest(): Buffer {
    return this.bytes(this.remaining);
  }

  /** Bytes up to a NUL, which is consumed; at the end of the payload the NUL may be missing (some clients omit it). */
  nulTerminated(): Buffer {
    const end = this.#bytes.indexOf(0, this.#offset);
    if (end === -1) return this.rest();
    const value = this.bytes(end - this.#offset);
    this.skip(1);
    return value;
  }

  /** Length-encoded integer; null for 0xFB, which stands for NULL in a text row. */
  lenencOrNull(): bigint | null {
    const first = this.uint8();
    if (first < 0xfb) return BigInt(first);
    if (first === 0xfb) return null;
    if (first === 0xfc) return BigInt(this.uint16());
    if (first === 0xfd) return BigInt(this.uint24());
    if (first === 0xfe) return this.uint64();
    throw new MalformedPacketError('0xFF does not begin a length-encoded integer');
  }

  lenencBig(): bigint {
    const value = this.lenencOrNull();
    if (value === null) throw new MalformedPacketError('NULL where a length-encoded integer was expected');
    return value;
  }

  /** For lengths and counts: a value that no packet can hold is malformed. */
  lenenc(): number {
    const value = this.lenencBig();
    if (value > 0xffff_ffffn) throw new MalformedPacketError('a length over 4 GiB');
    return Number(value);
  }

  lenencBytes(): Buffer {
    return this.bytes(this.lenenc());
  }

  lenencBytesOrNull(): Buffer | null {
    const length = this.lenencOrNull();
    if (length === null) return null;
    if (length > 0xffff_ffffn) throw new MalformedPacketError('a length over 4 GiB');
    return this.bytes(Number(length));
  }

  #take(length: number): number {
    const start = this.#offset;
    if (length < 0 || start + length > this.#bytes.length) throw new MalformedPacketError('the packet ends too early');
    this.#offset = start + length;
    return start;
  }
}
