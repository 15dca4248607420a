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
    let buffer = data;
    if (this.#pendingBytes > 0) {
      this.#pending.push(data);
      this.#pendingBytes += data.length;
      if (this.#pendingBytes < this.#neededBytes) return;
      buffer = Buffer.concat(this.#pending, this.#pendingBytes);
      this.#pending = [];
      this.#pendingBytes = 0;
    }
    const end = buffer.length;
    let at = 0;
    while (at + 4 <= end) {
      const length = (buffer[at] ?? 0) | ((buffer[at + 1] ?? 0) << 8) | ((buffer[at + 2] ?? 0) << 16);
      const next = at + 4 + length;
      if (next > end) {
        this.#keep(buffer.subarray(at), 4 + length);
        return;
      }
      if (length === PAYLOAD_MAX) this.#earlier.push(Buffer.from(buffer.subarray(at + 4, next)));
      else if (this.#earlier.length > 0) this.#finishLong(buffer.subarray(at + 4, next));
      else this.#payload(buffer, at + 4, next);
      at = next;
    }
    if (at < end) this.#keep(buffer.subarray(at), 4);
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

  /** For a new command: what is kept of the old one is gone. */
  reset(): void {
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#earlier = [];
  }
}
