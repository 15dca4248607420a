import { isDeepStrictEqual } from 'node:util';
import type { StrayImage } from '../api.ts';
import { plainJson } from '../schema/json-value.ts';
import type { Column, RowImage, Table } from '../schema/table.ts';
import { bytesOf, textOf, type Bytes, type Value } from '../server/connection.ts';

type StrayValue = StrayImage[string];

/** Values by column, in canonical form (`RowImage`) and lossless; columns that the event did not have are missing. */
export function imageOf({ columns }: Table, image: RowImage): StrayImage {
  return Object.fromEntries(
    columns.flatMap((column, index) => {
      const value = image[index];
      return value === undefined ? [] : [[column.name, shown(column, value)]];
    }),
  );
}

export function valueOf(value: StrayValue): Value {
  if (value === null) return null;
  return typeof value === 'string' ? bytesOf(value) : Buffer.from(value.hex, 'hex').toString('latin1');
}

/** Byte for byte; JSON documents by what they say, since servers print one document with different blanks and orders. */
export function sameValue({ dataType }: Column, left: Value, right: Value): boolean {
  if (left === right || left === null || right === null || dataType !== 'json') return left === right;
  return isDeepStrictEqual(documentOf(plainJson(left)), documentOf(plainJson(right)));
}

function shown({ charset }: Column, value: Value): StrayValue {
  if (value === null) return null;
  // oxlint-disable-next-line no-control-regex -- control characters are what is kept out of the text
  if (/^[\x20-\x7e]*$/.test(value)) return value;
  const text = textOf(value);
  const isText = charset?.startsWith('utf8') === true && bytesOf(text) === value;
  return isText ? text : { hex: Buffer.from(value, 'latin1').toString('hex') };
}

/** Numbers by their digits: two that a double cannot tell apart are two. */
function documentOf(text: Bytes): unknown {
  const reviver = (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' ? { number: context?.source ?? String(value) } : value;
  return JSON.parse(textOf(text), reviver);
}
