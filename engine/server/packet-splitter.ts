const PAYLOAD_MAX = 0xffffff;

/**
 * Cuts what a socket delivers into payloads, without copying where a packet lies whole in one delivery. The callback
 * gets the buffer and the payload's place in it, valid only during the call.
 */
export class PacketSplitter {
  readonly #payload: (buffer: Buffer, start: number, end: number) => void;
  /** The beginning of a packet whose rest is still to come; kept in parts, so that a long one is joined once. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #neededBytes = 0;
  /** Earlier 16 MiB packets of a payload that goes on. */
  #earlier: Buffer[] = [];

  constructor(payload: (buffer: Buffer, start: number, end: number) => void) {
    this.#payload = payload;
  }

  push(data: Buffer): void {
    const end = data.length;
    let at = 0;
    if (this.#pendingBytes > 0) {
      at = this.#complete(data);
      if (this.#pendingBytes > 0) return;
    }
    while (at + 4 <= end) {
      const length = lengthAt(data, at);
      const next = at + 4 + length;
      if (next > end) {
        this.#keep(data.subarray(at), 4 + length);
        return;
      }
      this.#packet(data, at + 4, next);
      at = next;
    }
    if (at < end) this.#keep(data.subarray(at), 4);
  }

  /** Adds what the kept packet lacks, and no more: the rest of `data` is not copied. Answers where that rest begins. */
  #complete(data: Buffer): number {
    let at = 0;
    for (;;) {
      const piece = data.subarray(at, at + this.#neededBytes - this.#pendingBytes);
      this.#pending.push(piece);
      this.#pendingBytes += piece.length;
      at += piece.length;
      if (this.#pendingBytes < this.#neededBytes) return at;
      const whole = Buffer.concat(this.#pending, this.#pendingBytes);
      const length = lengthAt(whole, 0);
      if (whole.length < 4 + length) {
        // Only the header was complete.
        this.#keep(whole, 4 + length);
        continue;
      }
      this.#pending = [];
      this.#pendingBytes = 0;
      this.#packet(whole, 4, whole.length);
      return at;
    }
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
