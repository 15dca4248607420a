import { quoteText, textOf, type Bytes, type Value } from '../server/connection.ts';
import type { Bound } from './key-range.ts';

/** JSON of the key's values, one character per byte, so that people can read most of them. */
export function boundLiteral(value: Bound | null): Bytes {
  return value === null ? 'NULL' : quoteText(JSON.stringify(value));
}

export function parseBound(value: Value | undefined): Bound | null {
  return value === null || value === undefined ? null : (JSON.parse(textOf(value)) as Bound);
}
