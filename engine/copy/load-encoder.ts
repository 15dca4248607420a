import type { FieldRule } from './field-rules.ts';

/**
 * Separators that text seldom holds, in one row so that one comparison finds all three: escape, field end, line end.
 * An escape followed by one of them is that byte itself; escape and N is NULL
 * (https://dev.mysql.com/doc/refman/9.7/en/load-data.html, field and line handling).
 */
export const LOAD_FORMAT =
  "FIELDS TERMINATED BY 0x1D ENCLOSED BY '' ESCAPED BY 0x1C LINES STARTING BY '' TERMINATED BY 0x1E";
const ESCAPE = 0x1c;
const FIELD_END = 0x1d;
const LINE_END = 0x1e;
const NULL_LETTER = 0x4e;

const NULL_FIELD = 0xfb;
const HEADER_BYTES = 4;
const BUFFER_BYTES = 128 * 1024;
/** Below this, copying byte by byte costs less than a call of `copy`. */
const SMALL_FIELD_BYTES = 24;

/**
 * Rows of the text protocol (length, bytes, length, bytes …) as lines of LOAD DATA, in buffers that leave room for a
 * packet header in front. No value becomes an object: in the usual row the length byte of each field just turns into
 * the separator before it.
 */
export class LoadEncoder {
  readonly #emit: (buffer: Buffer, end: number) => void;
  readonly #escapes: boolean[];
  readonly #warnsAtZero: boolean;
  readonly #zeroColumns: boolean[];
  #out: Buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #at = HEADER_BYTES;
  #free: Buffer[] = [];
  #viewed: Buffer | undefined;
  #view: DataView = new DataView(new ArrayBuffer(0));
  /** Where a row stands that comes in pieces: its field, and what is known of it. */
  #column = 0;
  readonly #lengthBytes = Buffer.alloc(9);
  #lengthSize = 0;
  #valueBytes = 0;
  #valueLeft = 0;
  rows = 0;
  bytes = 0;
  /** ENUM values of index 0 that will draw a warning each. */
  zeroIndexes = 0;

  constructor(rules: FieldRule[], emit: (buffer: Buffer, end: number) => void) {
    this.#emit = emit;
    this.#escapes = rules.map(({ escape }) => escape);
    this.#zeroColumns = rules.map(({ warnsAtZero }) => warnsAtZero);
    this.#warnsAtZero = this.#zeroColumns.includes(true);
  }

  /** Gives a buffer back that `emit` got, once its bytes are sent. */
  recycle(buffer: Buffer): void {
    if (buffer.length === BUFFER_BYTES && this.#free.length < 8) this.#free.push(buffer);
  }

  row(source: Buffer, start: number, end: number): void {
    // The longest that it can become: every field NULL, three bytes for one.
    if (BUFFER_BYTES - this.#at < (end - start) * 3) {
      this.flush();
      if (BUFFER_BYTES - this.#at < (end - start) * 3) {
        this.piece(source, start, end, true);
        return;
      }
    }
    this.rows += 1;
    this.bytes += end - start;
    if (this.#isPlain(source, start, end)) this.#plainRow(source, start, end);
    else this.#row(source, start, end);
  }

  /** No field is NULL, longer than 250 bytes, or holds a byte that may need an escape. */
  #isPlain(source: Buffer, start: number, end: number): boolean {
    if (this.#warnsAtZero) return false;
    if (source !== this.#viewed) {
      this.#viewed = source;
      this.#view = new DataView(source.buffer, source.byteOffset, source.byteLength);
    }
    const view = this.#view;
    let from = start;
    for (let column = 0; from < end; column += 1) {
      const length = source[from] ?? 0;
      if (length >= NULL_FIELD) return false;
      from += 1;
      const stop = from + length;
      if (this.#escapes[column] !== false) {
        // Four bytes at a time: one whose upper six bits are those of 0x1C becomes zero, and zero bytes are found by
        // the borrow of a subtraction (https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord).
        for (; from + 4 <= stop; from += 4) {
          const word = (view.getInt32(from, true) & 0xfcfcfcfc) ^ 0x1c1c1c1c;
          if (((word - 0x01010101) & ~word & 0x80808080) !== 0) return false;
        }
        for (; from < stop; from += 1) if (((source[from] ?? 0) & 0xfc) === ESCAPE) return false;
      }
      from = stop;
    }
    return true;
  }

  /** One copy, then each length byte but the first is overwritten by the separator that belongs there. */
  #plainRow(source: Buffer, start: number, end: number): void {
    const out = this.#out;
    const shift = this.#at - start - 1;
    source.copy(out, this.#at, start + 1, end);
    for (let from = start + 1 + (source[start] ?? 0); from < end; from += 1 + (source[from] ?? 0))
      out[from + shift] = FIELD_END;
    out[end + shift] = LINE_END;
    this.#at = end + shift + 1;
  }

  #row(source: Buffer, start: number, end: number): void {
    const out = this.#out;
    let at = this.#at;
    let from = start;
    for (let column = 0; from < end; column += 1) {
      let length = source[from] ?? 0;
      from += 1;
      if (length >= NULL_FIELD) {
        if (length === NULL_FIELD) {
          out[at] = ESCAPE;
          out[at + 1] = NULL_LETTER;
          out[at + 2] = FIELD_END;
          at += 3;
          continue;
        }
        const width = lengthWidth(length);
        length = longLength(source, from, width);
        from += width;
      }
      if (this.#warnsAtZero && this.#zeroColumns[column] === true && length === 1 && source[from] === 0x30)
        this.zeroIndexes += 1;
      const stop = from + length;
      if (this.#escapes[column] === false) {
        for (; from < stop; from += 1, at += 1) out[at] = source[from] ?? 0;
      } else if (length < SMALL_FIELD_BYTES) {
        for (; from < stop; from += 1, at += 1) {
          const byte = source[from] ?? 0;
          if (byte >= ESCAPE && byte <= LINE_END) {
            out[at] = ESCAPE;
            at += 1;
          }
          out[at] = byte;
        }
      } else {
        at = copyEscaped(source, from, stop, out, at);
        from = stop;
      }
      out[at] = FIELD_END;
      at += 1;
    }
    out[at - 1] = LINE_END;
    this.#at = at;
  }

  /** A part of a row that does not fit into one buffer, or did not arrive in one. It may be cut anywhere. */
  piece(source: Buffer, start: number, end: number, isLast: boolean): void {
    this.bytes += end - start;
    for (let at = start; at < end;) {
      if (this.#valueLeft > 0) at = this.#valuePart(source, at, end);
      else {
        this.#lengthBytes[this.#lengthSize] = source[at] ?? 0;
        this.#lengthSize += 1;
        at += 1;
        this.#lengthPart();
      }
    }
    if (!isLast) return;
    this.#byte(LINE_END);
    this.#column = 0;
    this.rows += 1;
  }

  #valuePart(source: Buffer, from: number, end: number): number {
    const stop = Math.min(end, from + this.#valueLeft);
    if (this.#valueBytes === 1 && this.#zeroColumns[this.#column] === true && source[from] === 0x30)
      this.zeroIndexes += 1;
    for (let at = from; at < stop;) {
      const next = Math.min(stop, at + BUFFER_BYTES / 4);
      if (BUFFER_BYTES - this.#at < (next - at) * 2) this.flush();
      this.#at = copyEscaped(source, at, next, this.#out, this.#at);
      at = next;
    }
    this.#valueLeft -= stop - from;
    if (this.#valueLeft === 0) this.#column += 1;
    return stop;
  }

  /** Once all bytes of a field's length are there, what belongs before the field's own bytes. */
  #lengthPart(): void {
    const first = this.#lengthBytes[0] ?? 0;
    const width = first <= NULL_FIELD ? 0 : lengthWidth(first);
    if (this.#lengthSize < 1 + width) return;
    this.#lengthSize = 0;
    if (this.#column > 0) this.#byte(FIELD_END);
    if (first === NULL_FIELD) {
      this.#byte(ESCAPE);
      this.#byte(NULL_LETTER);
      this.#column += 1;
      return;
    }
    this.#valueBytes = width === 0 ? first : longLength(this.#lengthBytes, 1, width);
    this.#valueLeft = this.#valueBytes;
    if (this.#valueBytes === 0) this.#column += 1;
  }

  #byte(byte: number): void {
    if (this.#at === BUFFER_BYTES) this.flush();
    this.#out[this.#at] = byte;
    this.#at += 1;
  }

  flush(): void {
    if (this.#at === HEADER_BYTES) return;
    this.#emit(this.#out, this.#at);
    this.#out = this.#free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
    this.#at = HEADER_BYTES;
  }
}

/** Length-encoded integers (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html). */
function lengthWidth(first: number): number {
  return first === 0xfc ? 2 : first === 0xfd ? 3 : 8;
}

function longLength(source: Buffer, at: number, width: number): number {
  return width === 8 ? Number(source.readBigUInt64LE(at)) : source.readUIntLE(at, width);
}

/** Copies in runs between the bytes that need an escape; returns where it ended in `out`. */
function copyEscaped(source: Buffer, start: number, end: number, out: Buffer, outStart: number): number {
  let at = outStart;
  let run = start;
  for (let from = start; from < end; from += 1) {
    const byte = source[from] ?? 0;
    if (byte >= ESCAPE && byte <= LINE_END) {
      at += source.copy(out, at, run, from);
      out[at] = ESCAPE;
      at += 1;
      run = from;
    }
  }
  return at + source.copy(out, at, run, end);
}
