import type { Value } from '../server/connection.ts';

/** The values of a row of the text protocol. */
export function textRowValues(buffer: Buffer, start: number, end: number): Value[] {
  const values: Value[] = [];
  for (let from = start; from < end;) {
    const first = buffer[from] ?? 0;
    from += 1;
    if (first === 0xfb) {
      values.push(null);
      continue;
    }
    const width = first < 0xfb ? 0 : first === 0xfc ? 2 : first === 0xfd ? 3 : 8;
    const length =
      width === 0 ? first : width === 8 ? Number(buffer.readBigUInt64LE(from)) : buffer.readUIntLE(from, width);
    from += width;
    values.push(buffer.toString('latin1', from, from + length));
    from += length;
  }
  return values;
}
