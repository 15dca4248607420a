import { AppError, assert } from './errors.ts';
import type { StreamPosition } from './gtid.ts';

/**
 * A set of MySQL GTIDs (https://dev.mysql.com/doc/refman/9.7/en/replication-gtids-concepts.html).
 *
 * A source is a server uuid with or without a tag (8.3+). Its intervals are one flat array
 * [first, end, first, end, …], ends exclusive, ascending, never touching, so that equal sets have equal arrays and the
 * usual `advance` only raises the last element. Numbers above 2^53 are refused: no server gets there by counting.
 */
export class MysqlGtidSet implements StreamPosition {
  readonly flavor = 'mysql';
  /** Key: `uuid` or `uuid:tag`, lower case. */
  readonly #sources = new Map<string, number[]>();

  static parse(text: string): MysqlGtidSet {
    const set = new MysqlGtidSet();
    for (const block of text.split(',')) {
      const parts = block
        .trim()
        .toLowerCase()
        .split(':')
        .map((part) => part.trim());
      const uuid = parts[0] ?? '';
      if (uuid === '' && parts.length === 1) continue;
      if (!UUID.test(uuid)) throw invalid(text, `${uuid} is no server uuid`);
      let source = uuid;
      for (const part of parts.slice(1)) {
        if (TAG.test(part)) source = `${uuid}:${part}`;
        else set.#addInterval(source, ...parseInterval(text, part));
      }
    }
    return set;
  }

  get empty(): boolean {
    return this.#sources.size === 0;
  }

  covers(other: StreamPosition): boolean {
    const set = same(other);
    for (const [source, wanted] of set.#sources) {
      const had = this.#sources.get(source);
      if (had === undefined || !includes(had, wanted)) return false;
    }
    return true;
  }

  coversGtid(gtid: string): boolean {
    const { source, number } = splitGtid(gtid);
    const intervals = this.#sources.get(source);
    return intervals !== undefined && includes(intervals, [number, number + 1]);
  }

  advance(gtid: string): void {
    const { source, number } = splitGtid(gtid);
    const intervals = this.#sources.get(source);
    const last = intervals === undefined ? -1 : intervals.length - 1;
    if (intervals !== undefined && intervals[last] === number) intervals[last] = number + 1;
    else this.#addInterval(source, number, number + 1);
  }

  /** Everything of `other` as well, in place. */
  add(other: MysqlGtidSet): void {
    for (const [source, intervals] of other.#sources) {
      for (const [first, end] of pairs(intervals)) this.#addInterval(source, first, end);
    }
  }

  union(other: MysqlGtidSet): MysqlGtidSet {
    const set = this.clone();
    set.add(other);
    return set;
  }

  /** What is here and not in `other`. */
  subtract(other: MysqlGtidSet): MysqlGtidSet {
    const set = new MysqlGtidSet();
    for (const [source, intervals] of this.#sources) {
      const removed = other.#sources.get(source) ?? [];
      const kept = difference(intervals, removed);
      if (kept.length > 0) set.#sources.set(source, kept);
    }
    return set;
  }

  clone(): MysqlGtidSet {
    const set = new MysqlGtidSet();
    for (const [source, intervals] of this.#sources) set.#sources.set(source, intervals.slice());
    return set;
  }

  /** The server's order: by uuid, the untagged first, then by tag; one block for each uuid. */
  toString(): string {
    const blocks: string[] = [];
    let lastUuid = '';
    for (const [source, intervals] of this.#sorted()) {
      const ranges = [...pairs(intervals)]
        .map(([first, end]) => (end === first + 1 ? `${first}` : `${first}-${end - 1}`))
        .join(':');
      const [uuid = '', tag] = source.split(':');
      if (uuid === lastUuid) blocks.push(`:${tag ?? ''}:${ranges}`);
      else blocks.push(`${blocks.length === 0 ? '' : ','}${source}:${ranges}`);
      lastUuid = uuid;
    }
    return blocks.join('');
  }

  /**
   * The form of COM_BINLOG_DUMP_GTID (sql/rpl_gtid_set.cc, Gtid_set::encode). The tagged form, which servers before
   * 8.3 do not read, only where the set has a tag.
   */
  encode(): Buffer {
    const sources = this.#sorted();
    const tagged = sources.some(([source]) => source.includes(':'));
    const parts: Buffer[] = [
      uint64(tagged ? (1n << 56n) | (BigInt(sources.length) << 8n) | 1n : BigInt(sources.length)),
    ];
    for (const [source, intervals] of sources) {
      const [uuid = '', tag = ''] = source.split(':');
      parts.push(Buffer.from(uuid.replaceAll('-', ''), 'hex'));
      // The length is a variable-length integer of mysql::serialization; a tag has 32 characters at most: one byte.
      if (tagged) parts.push(Buffer.from([tag.length << 1]), Buffer.from(tag, 'latin1'));
      parts.push(uint64(BigInt(intervals.length / 2)), ...intervals.map((bound) => uint64(BigInt(bound))));
    }
    return Buffer.concat(parts);
  }

  #sorted(): [string, number[]][] {
    return [...this.#sources].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  #addInterval(source: string, first: number, end: number): void {
    const intervals = this.#sources.get(source);
    if (intervals === undefined) {
      this.#sources.set(source, [first, end]);
      return;
    }
    // `from`, `to`: the intervals that overlap or touch [first, end).
    const from = firstEndingAt(intervals, first);
    let to = from;
    let low = first;
    let high = end;
    for (; to < intervals.length; to += 2) {
      const start = intervals[to] ?? 0;
      if (start > end) break;
      low = Math.min(low, start);
      high = Math.max(high, intervals[to + 1] ?? 0);
    }
    intervals.splice(from, to - from, low, high);
  }
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TAG = /^[a-z_][a-z0-9_]{0,31}$/;
const INTERVAL = /^(\d+)(?:-(\d+))?$/;

function invalid(text: string, why: string): AppError {
  return new AppError('GTID_INVALID', `${JSON.stringify(text.slice(0, 200))} is no GTID set: ${why}`);
}

function parseInterval(text: string, part: string): [number, number] {
  const match = INTERVAL.exec(part);
  const first = Number(match?.[1] ?? Number.NaN);
  const last = match?.[2] === undefined ? first : Number(match[2]);
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last + 1) || first < 1 || last < first)
    throw invalid(text, `${part} is no interval`);
  return [first, last + 1];
}

/** `uuid:n` or `uuid:tag:n`. */
function splitGtid(gtid: string): { source: string; number: number } {
  const colon = gtid.lastIndexOf(':');
  const number = Number(gtid.slice(colon + 1));
  if (colon < 36 || !Number.isSafeInteger(number) || number < 1)
    throw invalid(gtid, 'it should be one uuid and one number');
  return { source: gtid.slice(0, colon), number };
}

function same(other: StreamPosition): MysqlGtidSet {
  assert(other instanceof MysqlGtidSet, 'a MySQL position is compared with one of another kind');
  return other;
}

/** Index of the first interval whose end is at or after `bound`; the length when there is none. */
function firstEndingAt(intervals: number[], bound: number): number {
  let low = 0;
  let high = intervals.length / 2;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((intervals[2 * middle + 1] ?? 0) < bound) low = middle + 1;
    else high = middle;
  }
  return 2 * low;
}

function includes(had: number[], wanted: number[]): boolean {
  for (const [first, end] of pairs(wanted)) {
    const at = firstEndingAt(had, end);
    const start = had[at];
    if (start === undefined || start > first) return false;
  }
  return true;
}

function difference(intervals: number[], removed: number[]): number[] {
  const kept: number[] = [];
  for (const [first, end] of pairs(intervals)) {
    let low = first;
    for (let at = firstEndingAt(removed, first); at < removed.length && low < end; at += 2) {
      const start = removed[at] ?? 0;
      if (start >= end) break;
      if (start > low) kept.push(low, start);
      low = Math.max(low, removed[at + 1] ?? 0);
    }
    if (low < end) kept.push(low, end);
  }
  return kept;
}

function* pairs(intervals: number[]): Generator<[number, number]> {
  for (let at = 0; at + 1 < intervals.length; at += 2) yield [intervals[at] ?? 0, intervals[at + 1] ?? 0];
}

function uint64(value: bigint): Buffer {
  const buffer = Buffer.allocUnsafe(8);
  buffer.writeBigUInt64LE(value);
  return buffer;
}
