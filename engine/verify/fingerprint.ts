import type { Bytes, Value } from '../server/connection.ts';
import { assert } from '../../core/errors.ts';

/**
 * A fingerprint of a set of rows is their number and the XOR of their digests, SHA-256 of the row's text. Every row
 * counts for itself, in whatever order; no two rows of a table share a digest, since its key is in it, so nothing cancels
 * out. Equal fingerprints of different rows: 2^-256, or 2^-128 where a server has no BIT_XOR of strings.
 *
 * Measured on 9.7 with 1,000,000 rows of 220 bytes, CPU of the server in ms, best of 5 (CHECKSUM TABLE 660): text alone
 * 790, this 1040, two CRC32 2250 (the text is made twice). CRC32 over differently salted texts would not even be two sums: CRC is linear, so
 * the two differ by a constant that depends on the length alone. MySQL 9 has neither MD5 nor SHA1.
 */
export type Aggregate = 'strings' | 'integers';

/** Which of the two a server can: 'strings' since MySQL 8.0; MariaDB and MySQL 5.7 make a number of the string. */
export const AGGREGATE_PROBE: Bytes = `SELECT LENGTH(BIT_XOR(UNHEX(SHA2('probe',256))))`;

export function aggregateOf(probed: Value): Aggregate {
  return probed === '32' ? 'strings' : 'integers';
}

/** Hexadecimal; NULL where the text is. */
export function digestSql(text: Bytes): Bytes {
  return `SHA2(${text},256)`;
}

/**
 * The fingerprint of the rows of `from` (FROM and WHERE). BIT_XOR leaves NULL out, and a row whose text is NULL (see
 * `rowText`) must not be left out: `instead`, another text for each row and each side, makes the fingerprints differ then.
 */
export function fingerprintSql(aggregate: Aggregate, text: Bytes, instead: Bytes, from: Bytes): Bytes {
  const digest = `IFNULL(${digestSql(text)},${digestSql(instead)})`;
  if (aggregate === 'strings') return `SELECT COUNT(*),HEX(BIT_XOR(UNHEX(${digest})))${from}`;
  // LIMIT keeps the inner query apart: merged into the outer one it would be computed twice (MariaDB, 310 ms instead of 190).
  const word = (at: number) => `LPAD(HEX(BIT_XOR(CAST(CONV(SUBSTR(digest,${at},16),16,10) AS UNSIGNED))),16,'0')`;
  return `SELECT COUNT(*),${word(1)},${word(17)} FROM (SELECT ${digest} AS digest${from} LIMIT 18446744073709551615) AS digests`;
}

export interface Fingerprint {
  rows: number;
  /** Hexadecimal, upper case: 64 digits or 32. */
  digest: string;
}

export function parseFingerprint([row]: Value[][]): Fingerprint {
  assert(row !== undefined, 'an aggregate has one row');
  return { rows: Number(row[0]), digest: row.slice(1).join('') };
}

export function sameFingerprint(a: Fingerprint, b: Fingerprint): boolean {
  if (a.rows !== b.rows) return false;
  if (a.rows === 0) return true;
  const digits = Math.min(a.digest.length, b.digest.length);
  assert(digits >= 32, 'a fingerprint has 128 bits at least');
  return a.digest.slice(0, digits) === b.digest.slice(0, digits);
}

/** The fingerprint of the others, without the rows that have these digests. */
export function withoutRows({ rows, digest }: Fingerprint, digests: readonly Bytes[]): Fingerprint {
  const others = digests.reduce(
    (xor, each) => xor ^ BigInt(`0x${each.slice(0, digest.length)}`),
    BigInt(`0x${digest}`),
  );
  return { rows: rows - digests.length, digest: others.toString(16).toUpperCase().padStart(digest.length, '0') };
}
