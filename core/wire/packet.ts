import { MalformedPacketError } from './byte-reader.ts';

export const HEADER_BYTES = 4;
/** A packet of this payload length goes on in the next one; a message of exactly n × this ends with an empty packet. */
export const MAX_PAYLOAD_BYTES = 0xff_ffff;

/** One message: its payload over all its packets, and the sequence number of the last of them. */
export interface Message {
  payload: Buffer;
  sequence: number;
}

export function payloadLengthAt(bytes: Buffer, offset: number): number {
  return bytes.readUIntLE(offset, 3);
}

export function writeHeader(bytes: Buffer, offset: number, length: number, sequence: number): void {
  bytes.writeUIntLE(length, offset, 3);
  bytes.writeUInt8(sequence & 0xff, offset + 3);
}

/** A payload with its header or headers. */
export function framePacket(payload: Buffer, sequence: number): Buffer {
  if (payload.length < MAX_PAYLOAD_BYTES) {
    const framed = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
    writeHeader(framed, 0, payload.length, sequence);
    payload.copy(framed, HEADER_BYTES);
    return framed;
  }
  const parts: Buffer[] = [];
  let next = sequence;
  for (let offset = 0; offset <= payload.length; offset += MAX_PAYLOAD_BYTES) {
    const part = payload.subarray(offset, offset + MAX_PAYLOAD_BYTES);
    const header = Buffer.alloc(HEADER_BYTES);
    writeHeader(header, 0, part.length, next);
    parts.push(header, part);
    next += 1;
  }
  return Buffer.concat(parts);
}

/** Cuts a byte stream into messages. `maxBytes` bounds what an unfinished message may make it keep (I8). */
export class MessageSplitter {
  readonly #maxBytes: number;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  push(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
  }

  /** The next whole message, or undefined until more bytes are pushed. */
  next(): Message | undefined {
    const parts: Buffer[] = [];
    let offset = 0;
    for (;;) {
      if (this.#bytes.length - offset < HEADER_BYTES) return this.#incomplete();
      const length = payloadLengthAt(this.#bytes, offset);
      const end = offset + HEADER_BYTES + length;
      if (end > this.#maxBytes + HEADER_BYTES) throw new MalformedPacketError(`a message over ${this.#maxBytes} bytes`);
      if (this.#bytes.length < end) return this.#incomplete();
      parts.push(this.#bytes.subarray(offset + HEADER_BYTES, end));
      if (length < MAX_PAYLOAD_BYTES) {
        const sequence = this.#bytes.readUInt8(offset + 3);
        this.#bytes = this.#bytes.subarray(end);
        const [only] = parts;
        return { payload: parts.length === 1 && only !== undefined ? only : Buffer.concat(parts), sequence };
      }
      offset = end;
    }
  }

  /** What was received and is not part of a message returned so far. */
  takeRest(): Buffer {
    const rest = this.#bytes;
    this.#bytes = Buffer.alloc(0);
    return rest;
  }

  #incomplete(): undefined {
    return undefined;
  }
}
