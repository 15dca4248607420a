import type { Bytes } from '../server/connection.ts';

/** MariaDB's UUID, INET4 and INET6: binary in the log (trailing zeros cut off), text in a SELECT. `stored` is padded. */

export function uuidText(stored: Bytes): string {
  return Buffer.from(stored, 'latin1')
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

export function inet4Text(stored: Bytes): string {
  return Array.from(stored, (byte) => byte.charCodeAt(0)).join('.');
}

const WORDS = 8;

/**
 * The longest run of zero words becomes `::` (the first of equals, one word is enough), and the last two words are
 * written as IPv4 behind `::` or `::ffff:`; as MariaDB does it (sql/item_inetfunc.cc), which is not quite RFC 5952.
 */
export function inet6Text(stored: Bytes): string {
  const words = Array.from(
    { length: WORDS },
    (_, index) => (stored.charCodeAt(2 * index) << 8) | stored.charCodeAt(2 * index + 1),
  );
  const gap = longestZeroRun(words);
  const isIpv4 = gap.start === 0 && (gap.length === 6 || (gap.length === 5 && words[5] === 0xffff));
  let text = '';
  for (let index = 0; index < WORDS; index += 1) {
    if (index === gap.start) {
      text += index === 0 ? '::' : ':';
      index += gap.length - 1;
    } else if (index === 6 && isIpv4) {
      return text + inet4Text(stored.slice(12));
    } else {
      text += (words[index] ?? 0).toString(16) + (index === WORDS - 1 ? '' : ':');
    }
  }
  return text;
}

function longestZeroRun(words: number[]): { start: number; length: number } {
  let best = { start: -1, length: 0 };
  for (let start = 0; start < words.length; start += 1) {
    let end = start;
    while (words[end] === 0) end += 1;
    if (end - start > best.length) best = { start, length: end - start };
    start = Math.max(start, end - 1);
  }
  return best;
}
