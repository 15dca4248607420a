/** Collects the protocol's basic types into one payload. */
export class ByteWriter {
  readonly #parts: Buffer[] = [];

  uint8(value: number): this {
    return this.bytes(Buffer.of(value));
  }

  uint16(value: number): this {
    const part = Buffer.allocUnsafe(2);
    part.writeUInt16LE(value);
    return this.bytes(part);
  }

  uint32(value: number): this {
    const part = Buffer.allocUnsafe(4);
    part.writeUInt32LE(value);
    return this.bytes(part);
  }

  zeros(length: number): this {
    return this.bytes(Buffer.alloc(length));
  }

  bytes(value: Buffer): this {
    this.#parts.push(value);
    return this;
  }

  text(value: string): this {
    return this.bytes(Buffer.from(value, 'utf8'));
  }

  nulTerminated(value: Buffer | string): this {
    return (typeof value === 'string' ? this.text(value) : this.bytes(value)).uint8(0);
  }

  lenenc(value: number | bigint): this {
    return this.bytes(encodeLenenc(value));
  }

  lenencBytes(value: Buffer): this {
    return this.lenenc(value.length).bytes(value);
  }

  toBuffer(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** Length-encoded integer. Source: MySQL internals, "Integer Types", Protocol::LengthEncodedInteger. */
export function encodeLenenc(value: number | bigint): Buffer {
  const big = BigInt(value);
  if (big < 0xfbn) return Buffer.of(Number(big));
  if (big <= 0xffffn) {
    const bytes = Buffer.of(0xfc, 0, 0);
    bytes.writeUInt16LE(Number(big), 1);
    return bytes;
  }
  if (big <= 0xff_ffffn) {
    const bytes = Buffer.of(0xfd, 0, 0, 0);
    bytes.writeUIntLE(Number(big), 1, 3);
    return bytes;
  }
  const bytes = Buffer.alloc(9, 0xfe);
  bytes.writeBigUInt64LE(big, 1);
  return bytes;
}
