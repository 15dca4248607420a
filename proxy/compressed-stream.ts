import { Duplex } from 'node:stream';
import { promisify } from 'node:util';
import {
  deflate,
  deflateSync,
  inflate,
  inflateSync,
  zstdCompress,
  zstdCompressSync,
  zstdDecompress,
  zstdDecompressSync,
} from 'node:zlib';
import { MalformedPacketError } from '../core/wire/byte-reader.ts';

export type Compression = 'zlib' | 'zstd';

/** Compressed length, sequence, length before compression (0: the payload is as it was). */
const HEADER_BYTES = 7;
const PAYLOAD_BYTES_MAX = 0xff_ffff;
/** Below it the server does not compress either. Source: MySQL internals, "Compressed Packet". */
const COMPRESSED_BYTES_MIN = 50;
/** Above it the work goes to the thread pool, so that other sessions need not wait for it. */
const SYNCHRONOUS_BYTES_MAX = 1 << 14;
const ZLIB_LEVEL = 3;

interface Codec {
  compress(bytes: Buffer): Buffer | Promise<Buffer>;
  /** Rejects or throws when the result would be larger than `bytesMax`. */
  decompress(bytes: Buffer, bytesMax: number): Buffer | Promise<Buffer>;
}

const deflateAsync = promisify<Buffer, { level: number }, Buffer>(deflate);
const inflateAsync = promisify<Buffer, { maxOutputLength: number }, Buffer>(inflate);
const zstdCompressAsync = promisify<Buffer, Buffer>(zstdCompress);
const zstdDecompressAsync = promisify<Buffer, { maxOutputLength: number }, Buffer>(zstdDecompress);

const CODECS: Record<Compression, Codec> = {
  zlib: {
    compress: (bytes) =>
      bytes.length > SYNCHRONOUS_BYTES_MAX
        ? deflateAsync(bytes, { level: ZLIB_LEVEL })
        : deflateSync(bytes, { level: ZLIB_LEVEL }),
    decompress: (bytes, maxOutputLength) =>
      maxOutputLength > SYNCHRONOUS_BYTES_MAX
        ? inflateAsync(bytes, { maxOutputLength })
        : inflateSync(bytes, { maxOutputLength }),
  },
  zstd: {
    compress: (bytes) => (bytes.length > SYNCHRONOUS_BYTES_MAX ? zstdCompressAsync(bytes) : zstdCompressSync(bytes)),
    decompress: (bytes, maxOutputLength) =>
      maxOutputLength > SYNCHRONOUS_BYTES_MAX
        ? zstdDecompressAsync(bytes, { maxOutputLength })
        : zstdDecompressSync(bytes, { maxOutputLength }),
  },
};

/**
 * The client's connection after a login that agreed on compression: what is read and written here is the protocol as
 * without it. A packet says how large it was; more than that, or more than 16 MiB, is never unpacked (I8). Packets of
 * the protocol and compressed ones have nothing to do with each other: each chunk is packed as it comes.
 */
export class CompressedStream extends Duplex {
  readonly #inner: Duplex;
  readonly #codec: Codec;
  #received: Buffer = Buffer.alloc(0);
  #sequence = 0;
  #isUnpacking = false;
  #isWanted = false;

  /** `ahead`: what was read from `inner` already. */
  constructor(inner: Duplex, compression: Compression, ahead: Buffer) {
    super({ autoDestroy: true });
    this.#inner = inner;
    this.#codec = CODECS[compression];
    inner.on('data', (chunk: Buffer) => this.#onData(chunk));
    inner.on('end', () => this.push(null));
    inner.on('error', (error) => this.destroy(error));
    inner.on('close', () => this.destroy());
    if (ahead.length > 0) this.#onData(ahead);
  }

  override _read(): void {
    this.#isWanted = true;
    void this.#unpack();
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    void this.#packAndTell(chunk, callback);
  }

  override _writev(chunks: { chunk: Buffer }[], callback: (error?: Error | null) => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'buffer', callback);
  }

  override _final(callback: () => void): void {
    this.#inner.end(callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#inner.destroy();
    callback(error);
  }

  #onData(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    void this.#unpack();
  }

  /** One packet after the other, as long as somebody takes what comes out. */
  async #unpack(): Promise<void> {
    if (this.#isUnpacking) return;
    this.#isUnpacking = true;
    try {
      while (this.#isWanted && !this.destroyed) {
        const packet = this.#nextPacket();
        if (packet === undefined) break;
        const payload = await packet;
        if (payload.length > 0) this.#isWanted = this.push(payload);
      }
      if (this.#isWanted) this.#inner.resume();
      else this.#inner.pause();
    } catch (cause) {
      this.destroy(new MalformedPacketError('a compressed packet that cannot be unpacked', { cause }));
    } finally {
      this.#isUnpacking = false;
    }
  }

  #nextPacket(): Buffer | Promise<Buffer> | undefined {
    const bytes = this.#received;
    if (bytes.length < HEADER_BYTES) return undefined;
    const end = HEADER_BYTES + bytes.readUIntLE(0, 3);
    if (bytes.length < end) return undefined;
    this.#received = bytes.subarray(end);
    this.#sequence = bytes.readUInt8(3) + 1;
    const payload = bytes.subarray(HEADER_BYTES, end);
    const length = bytes.readUIntLE(4, 3);
    return length === 0 ? payload : this.#unpackPayload(payload, length);
  }

  async #unpackPayload(payload: Buffer, length: number): Promise<Buffer> {
    const unpacked = await this.#codec.decompress(payload, length);
    if (unpacked.length !== length)
      throw new MalformedPacketError('a compressed packet of another length than it says');
    return unpacked;
  }

  async #packAndTell(bytes: Buffer, tell: (error?: Error | null) => void): Promise<void> {
    let failure: Error | null = null;
    try {
      await this.#pack(bytes);
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
    }
    tell(failure);
  }

  async #pack(bytes: Buffer): Promise<void> {
    for (let offset = 0; offset < bytes.length; offset += PAYLOAD_BYTES_MAX) {
      const piece = bytes.subarray(offset, offset + PAYLOAD_BYTES_MAX);
      const packed = piece.length < COMPRESSED_BYTES_MIN ? piece : await this.#codec.compress(piece);
      const isSmaller = packed.length < piece.length;
      const payload = isSmaller ? packed : piece;
      const header = Buffer.alloc(HEADER_BYTES);
      header.writeUIntLE(payload.length, 0, 3);
      header.writeUInt8(this.#sequence & 0xff, 3);
      header.writeUIntLE(isSmaller ? piece.length : 0, 4, 3);
      this.#sequence += 1;
      await this.#send(Buffer.concat([header, payload]));
    }
  }

  async #send(bytes: Buffer): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    // Also called with an error: then the stream is destroyed by the inner one.
    this.#inner.write(bytes, () => resolve());
    await promise;
  }
}
