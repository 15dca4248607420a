import { ByteReader } from '../core/wire/byte-reader.ts';
import { CAPABILITY, hasCapability } from '../core/wire/capabilities.ts';

/** Bytes of a binary value by column type; the types that are not listed begin with their length. */
const FIXED_BYTES: ReadonlyMap<number, number> = new Map([
  [1, 1],
  [2, 2],
  [3, 4],
  [4, 4],
  [5, 8],
  [6, 0],
  [8, 8],
  [9, 4],
  [13, 2],
]);

/** Where the text of a COM_QUERY payload begins: after the query attributes, where those were agreed. Source: MySQL internals, COM_QUERY. */
export function queryTextOffset(payload: Buffer, capabilities: number): number {
  if (!hasCapability(capabilities, CAPABILITY.QUERY_ATTRIBUTES)) return 1;
  if (payload.length >= 3 && payload[1] === 0) return 3;
  const reader = new ByteReader(payload, 1);
  const count = reader.lenenc();
  reader.lenenc();
  if (count === 0) return reader.offset;
  const nulls = reader.bytes((count + 7) >> 3);
  reader.skip(1);
  const types: number[] = [];
  for (let index = 0; index < count; index += 1) {
    types.push(reader.uint16() & 0xff);
    reader.skip(reader.lenenc());
  }
  for (const [index, type] of types.entries()) {
    const isNull = (nulls.readUInt8(index >> 3) & (1 << (index & 7))) !== 0;
    if (!isNull) reader.skip(FIXED_BYTES.get(type) ?? reader.lenenc());
  }
  return reader.offset;
}
