/**
 * Canonical text of FLOAT and DOUBLE: the shortest that reads back to the same number, as JavaScript prints it.
 * `-0` is kept. The copy and the verification use the same two functions for what a SELECT gives.
 */
export function doubleText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

const NORMAL_MIN = 2 ** -126;

/**
 * `value` is a float32. Up to six digits always survive the way through a float32, nine always identify one; servers
 * read a literal as a double first, which is what Math.fround(Number(…)) does too.
 */
export function floatText(value: number): string {
  if (value === 0) return doubleText(value);
  // Denormal numbers have fewer digits than six.
  for (let digits = Math.abs(value) < NORMAL_MIN ? 1 : 6; digits < 9; digits += 1) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === value) return doubleText(rounded);
  }
  return doubleText(Number(value.toPrecision(9)));
}

const DIGIT_BYTES = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

/** Bytes of a DECIMAL(precision, scale): four for nine digits, fewer for the odd ones (strings/decimal.cc, decimal2bin). */
export function decimalBytes(precision: number, scale: number): number {
  return wholeBytes(precision - scale) + wholeBytes(scale);
}

function wholeBytes(digits: number): number {
  return Math.floor(digits / 9) * 4 + (DIGIT_BYTES[digits % 9] ?? 0);
}

/**
 * The digits are big-endian, odd digits at the outer ends, the first bit inverted so that values sort as bytes;
 * negative values are inverted whole.
 */
export function decimalText(bytes: Buffer, at: number, precision: number, scale: number): string {
  const negative = ((bytes[at] ?? 0) & 0x80) === 0;
  const flip = negative ? 0xff : 0;
  let position = at;
  let first = 0x80;
  const group = (size: number): number => {
    let value = 0;
    for (let index = 0; index < size; index += 1) {
      value = value * 256 + ((bytes[position] ?? 0) ^ flip ^ first);
      first = 0;
      position += 1;
    }
    return value;
  };
  const wholeDigits = precision - scale;
  let whole = '';
  const odd = wholeDigits % 9;
  if (odd > 0) whole = String(group(DIGIT_BYTES[odd] ?? 0));
  for (let left = wholeDigits - odd; left > 0; left -= 9) {
    const value = group(4);
    whole = whole === '' || whole === '0' ? String(value) : whole + String(value).padStart(9, '0');
  }
  if (whole === '') whole = '0';
  if (scale === 0) return negative ? `-${whole}` : whole;
  let fraction = '';
  let left = scale;
  for (; left >= 9; left -= 9) fraction += String(group(4)).padStart(9, '0');
  if (left > 0) fraction += String(group(DIGIT_BYTES[left] ?? 0)).padStart(left, '0');
  return `${negative ? '-' : ''}${whole}.${fraction}`;
}
