const PAYLOAD_MAX = 0xffffff;
/** Packets from this length on are passed on in pieces, where somebody takes pieces. */
const LONG_BYTES = 256 * 1024;
const NOTHING = Buffer.alloc(0);

export type PayloadHandler = (buffer: Buffer, start: number, end: number) => void;
/** A part of a long payload; the last one may be empty. */
export type PieceHandler = (buffer: Buffer, start: number, end: number, isLast: boolean) => void;

/**
 * Cuts what a socket delivers into payloads, without copying where a packet lies whole in one delivery. The callback
 * gets the buffer and the payload's place in it, valid only during the call. With `piece`, long payloads are never
 * gathered: their parts are passed on as they come, so that a row of a gigabyte takes no more memory than a short one.
 */
export class PacketSplitter {
  readonly #payload: PayloadHandler;
  readonly #piece: PieceHandler | undefined;
  /** The beginning of a packet whose rest is still to come; kept in parts, so that a long one is joined once. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #neededBytes = 0;
  /** Earlier 16 MiB packets of a payload that goes on. */
  #earlier: Buffer[] = [];
  /** Bytes that the packet being passed on in pieces still has. */
  #longLeft = 0;
  /** Whether another packet of the same long payload follows. */
  #longGoesOn = false;

  constructor(payload: PayloadHandler, piece?: PieceHandler) {
    this.#payload = payload;
    this.#piece = piece;
  }

  push(data: Buffer): void {
    for (let at = 0; at < data.length;) {
      if (this.#longLeft > 0) at = this.#passOn(data, at);
      else if (this.#pendingBytes > 0) at = this.#complete(data, at);
      else at = this.#packets(data, at);
    }
  }

  /** Whole packets from `at` on. Answers where it stopped: at the end, or behind the header of a long packet. */
  #packets(data: Buffer, from: number): number {
    const end = data.length;
    let at = from;
    while (at + 4 <= end) {
      const length = lengthAt(data, at);
      if (this.#isLong(length)) {
        this.#begin(length);
        return at + 4;
      }
      const next = at + 4 + length;
      if (next > end) {
        this.#keep(data.subarray(at), 4 + length);
        return end;
      }
      this.#packet(data, at + 4, next);
      at = next;
    }
    if (at < end) this.#keep(data.subarray(at), 4);
    return end;
  }

  /** Adds what the kept packet lacks, and no more: the rest of `data` is not copied. Answers where that rest begins. */
  #complete(data: Buffer, from: number): number {
    let at = from;
    for (;;) {
      const piece = data.subarray(at, at + this.#neededBytes - this.#pendingBytes);
      this.#pending.push(piece);
      this.#pendingBytes += piece.length;
      at += piece.length;
      if (this.#pendingBytes < this.#neededBytes) return at;
      const whole = Buffer.concat(this.#pending, this.#pendingBytes);
      const length = lengthAt(whole, 0);
      const onlyHeader = whole.length < 4 + length;
      if (onlyHeader && !this.#isLong(length)) {
        this.#keep(whole, 4 + length);
        continue;
      }
      this.#pending = [];
      this.#pendingBytes = 0;
      if (this.#isLong(length)) this.#begin(length);
      else this.#packet(whole, 4, whole.length);
      return at;
    }
  }

  #isLong(length: number): boolean {
    return this.#piece !== undefined && (length >= LONG_BYTES || this.#longGoesOn);
  }

  #begin(length: number): void {
    this.#longLeft = length;
    this.#longGoesOn = length === PAYLOAD_MAX;
    if (length === 0) this.#piece?.(NOTHING, 0, 0, true);
  }

  #passOn(data: Buffer, at: number): number {
    const stop = Math.min(data.length, at + this.#longLeft);
    this.#longLeft -= stop - at;
    this.#piece?.(data, at, stop, this.#longLeft === 0 && !this.#longGoesOn);
    return stop;
  }

  #packet(buffer: Buffer, start: number, end: number): void {
    if (end - start === PAYLOAD_MAX) this.#earlier.push(Buffer.from(buffer.subarray(start, end)));
    else if (this.#earlier.length > 0) this.#finishLong(buffer.subarray(start, end));
    else this.#payload(buffer, start, end);
  }

  #keep(rest: Buffer, neededBytes: number): void {
    this.#pending = [rest];
    this.#pendingBytes = rest.length;
    this.#neededBytes = neededBytes;
  }

  #finishLong(last: Buffer): void {
    const whole = Buffer.concat([...this.#earlier, last]);
    this.#earlier = [];
    this.#payload(whole, 0, whole.length);
  }
}

function lengthAt(buffer: Buffer, at: number): number {
  return (buffer[at] ?? 0) | ((buffer[at + 1] ?? 0) << 8) | ((buffer[at + 2] ?? 0) << 16);
}
