import { COMMAND } from '../core/wire/command.ts';
import { MalformedPacketError } from '../core/wire/byte-reader.ts';
import { owned } from './wire-socket.ts';
import { HEADER_BYTES, MAX_PAYLOAD_BYTES } from '../core/wire/packet.ts';

/** A command up to this size is gathered before it goes on; a larger one passes through in pieces. */
const GATHERED_BYTES_MAX = 1 << 20;

/** The rest of a command, or of a client's file, that passes through. */
interface Upload {
  /** Of the packet under way. */
  bytes: number;
  /** The packet is full: another one of the same message follows. */
  continues: boolean;
  /** LOAD DATA LOCAL: packets until an empty one. */
  isFile: boolean;
}

/** A piece of an upload; `fileEnd` is the sequence number of the packet that ended a file. */
export interface UploadPiece {
  bytes: Buffer;
  fileEnd: number | null;
}

/** What a client sent and the session has not passed on yet. Bytes that are pushed may be lent until `keep`. */
export class ClientInput {
  #bytes: Buffer | null = null;
  #upload: Upload | null = null;

  get isEmpty(): boolean {
    return this.#bytes === null;
  }

  get length(): number {
    return this.#bytes?.length ?? 0;
  }

  /** True while what comes belongs to a command that went on already. */
  get isUploading(): boolean {
    return this.#upload !== null;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#bytes = this.#bytes === null ? chunk : Buffer.concat([this.#bytes, chunk]);
  }

  /** What is still here when the bytes that were lent go back. */
  keep(): void {
    if (this.#bytes !== null) this.#bytes = owned(this.#bytes);
  }

  /** To be kept. */
  takeAll(): Buffer {
    return owned(this.takeLent());
  }

  /** To be passed on at once. */
  takeLent(): Buffer {
    const all = this.#bytes ?? Buffer.alloc(0);
    this.#bytes = null;
    return all;
  }

  /** The server asked for the client's file. */
  beginFile(): void {
    this.#upload = { bytes: 0, continues: false, isFile: true };
  }

  /** The command that stands first, once enough of it is here; it stays. */
  peekCommand(): number | undefined {
    const bytes = this.#bytes;
    if (bytes === null || bytes.length < HEADER_BYTES) return undefined;
    const length = bytes.readUIntLE(0, 3);
    if (length === 0) throw new MalformedPacketError('a command without a command byte');
    if (bytes.length === HEADER_BYTES) return undefined;
    const command = bytes.readUInt8(HEADER_BYTES);
    const end = HEADER_BYTES + length;
    if (bytes.length >= end) return command;
    const passesInPieces = end > GATHERED_BYTES_MAX && bytes.length >= GATHERED_BYTES_MAX;
    // The text of a statement has to be kept whole.
    return passesInPieces && command !== COMMAND.STMT_PREPARE ? command : undefined;
  }

  /** The command that stands first is here to its end. */
  get hasWholeCommand(): boolean {
    const bytes = this.#bytes;
    if (this.#upload !== null || bytes === null || bytes.length < HEADER_BYTES) return false;
    const length = bytes.readUIntLE(0, 3);
    return length < MAX_PAYLOAD_BYTES && bytes.length >= HEADER_BYTES + length;
  }

  /** The same packet as `takeCommand` gives; it stays. */
  peekPacket(): Buffer {
    const bytes = this.#bytes ?? Buffer.alloc(0);
    return bytes.subarray(0, HEADER_BYTES + bytes.readUIntLE(0, 3));
  }

  /** The packet of the command that was peeked at; of a large one its beginning, the rest is an upload. */
  takeCommand(): Buffer {
    const bytes = this.takeLent();
    const length = bytes.readUIntLE(0, 3);
    const end = HEADER_BYTES + length;
    const continues = length === MAX_PAYLOAD_BYTES;
    if (bytes.length < end || continues) {
      this.#upload = { bytes: Math.max(0, end - bytes.length), continues, isFile: false };
    }
    return this.#split(bytes, end);
  }

  /** The next piece of the upload; undefined until more comes, or at its end. */
  takeUpload(): UploadPiece | undefined {
    const upload = this.#upload;
    if (upload === null || this.#bytes === null) return undefined;
    if (upload.bytes === 0) {
      if (this.#bytes.length < HEADER_BYTES) return undefined;
      const length = this.#bytes.readUIntLE(0, 3);
      const endsFile = upload.isFile && length === 0 && !upload.continues;
      upload.bytes = HEADER_BYTES + length;
      upload.continues = length === MAX_PAYLOAD_BYTES;
      if (endsFile) {
        const fileEnd = this.#bytes.readUInt8(3);
        this.#upload = null;
        return { bytes: this.#split(this.takeLent(), HEADER_BYTES), fileEnd };
      }
    }
    const bytes = this.#split(this.takeLent(), upload.bytes);
    upload.bytes -= bytes.length;
    if (upload.bytes === 0 && !upload.isFile && !upload.continues) this.#upload = null;
    return { bytes, fileEnd: null };
  }

  /** Returns the first `end` bytes and keeps the others; a whole chunk passes without a copy. */
  #split(bytes: Buffer, end: number): Buffer {
    if (bytes.length <= end) return bytes;
    this.#bytes = bytes.subarray(end);
    return bytes.subarray(0, end);
  }
}
