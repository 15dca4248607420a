/**
 * Dates and times of row images as the server prints them (sql-common/my_time.cc: my_*_packed_from_binary; the old
 * formats: sql/field.cc of 5.5). `digits` is the declared length of the fraction.
 */
const TWO: readonly string[] = Array.from({ length: 100 }, (_, value) => String(value).padStart(2, '0'));

function two(value: number): string {
  return TWO[value] ?? String(value);
}

function four(value: number): string {
  return two(Math.floor(value / 100)) + two(value % 100);
}

export function fractionBytes(digits: number): number {
  return (digits + 1) >> 1;
}

/** The stored fraction has an even number of digits: .5 of a DATETIME(1) is stored as 50. */
function fractionText(value: number, digits: number): string {
  if (digits === 0) return '';
  return `.${String(value)
    .padStart(2 * fractionBytes(digits), '0')
    .slice(0, digits)}`;
}

export function dateText(packed: number): string {
  return `${four(packed >> 9)}-${two((packed >> 5) & 15)}-${two(packed & 31)}`;
}

function timeOfDay(packed: number): string {
  return `${two((packed >> 12) & 0x3ff)}:${two((packed >> 6) & 63)}:${two(packed & 63)}`;
}

/** DATETIME2: a bit for the sign, 17 for year × 13 + month, 5 day, 5 hour, 6 minute, 6 second; then the fraction. */
export function datetime2Text(bytes: Buffer, at: number, digits: number): string {
  const whole = bytes.readUIntBE(at, 5) - 0x8000000000;
  const months = Math.floor(whole / 2 ** 22);
  const rest = whole % 2 ** 22;
  const date = `${four(Math.floor(months / 13))}-${two(months % 13)}-${two(rest >> 17)}`;
  return `${date} ${timeOfDay(rest & 0x1ffff)}${digits === 0 ? '' : fractionText(bytes.readUIntBE(at + 5, fractionBytes(digits)), digits)}`;
}

/** Civil date of a day number (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"): no Date object for each value. */
function civilText(days: number): string {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  return `${four(yearOfEra + era * 400 + (month <= 2 ? 1 : 0))}-${two(month)}-${two(day)}`;
}

/** Unsigned seconds since the epoch, as text in UTC; 0 stands for the zero date. */
function timestampText(seconds: number, fraction: number, digits: number): string {
  const tail = fractionText(fraction, digits);
  if (seconds === 0 && fraction === 0) return `0000-00-00 00:00:00${tail}`;
  const ofDay = seconds % 86_400;
  const clock = `${two(Math.floor(ofDay / 3600))}:${two(Math.floor(ofDay / 60) % 60)}:${two(ofDay % 60)}`;
  return `${civilText(Math.floor(seconds / 86_400))} ${clock}${tail}`;
}

/** TIMESTAMP2: big-endian. Unsigned: MariaDB 11.5 and later reach 2106. */
export function timestamp2Text(bytes: Buffer, at: number, digits: number): string {
  return timestampText(
    bytes.readUInt32BE(at),
    digits === 0 ? 0 : bytes.readUIntBE(at + 4, fractionBytes(digits)),
    digits,
  );
}

/** TIME2: one big-endian number of 3 bytes and the fraction, offset so that negative times sort first. */
export function time2Text(bytes: Buffer, at: number, digits: number): string {
  const extra = fractionBytes(digits);
  const scale = 256 ** extra;
  const signed = bytes.readUIntBE(at, 3 + extra) - 0x800000 * scale;
  const magnitude = Math.abs(signed);
  const clock = timeOfDay(Math.floor(magnitude / scale));
  return `${signed < 0 ? '-' : ''}${clock}${fractionText(magnitude % scale, digits)}`;
}

export function oldTimestampText(bytes: Buffer, at: number): string {
  return timestampText(bytes.readUInt32LE(at), 0, 0);
}

/** The decimal number YYYYMMDDhhmmss. */
export function oldDatetimeText(bytes: Buffer, at: number): string {
  const value = bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
  const date = Math.floor(value / 1_000_000);
  const time = value % 1_000_000;
  return `${four(Math.floor(date / 10_000))}-${two(Math.floor(date / 100) % 100)}-${two(date % 100)} ${sexagesimal(time)}`;
}

/** The signed decimal number hhmmss. */
export function oldTimeText(bytes: Buffer, at: number): string {
  const value = bytes.readIntLE(at, 3);
  return (value < 0 ? '-' : '') + sexagesimal(Math.abs(value));
}

function sexagesimal(value: number): string {
  return `${two(Math.floor(value / 10_000))}:${two(Math.floor(value / 100) % 100)}:${two(value % 100)}`;
}

/** The packed 64-bit form inside JSON (my_time.h, "Packed" values): microseconds in 24 bits, then the fields as above. */
export function packedDatetimeText(packed: bigint, dateOnly: boolean): string {
  const whole = packed >> 24n;
  const months = Number(whole >> 22n);
  const rest = Number(whole & 0x3fffffn);
  const date = `${four(Math.floor(months / 13))}-${two(months % 13)}-${two(rest >> 17)}`;
  return dateOnly ? date : `${date} ${timeOfDay(rest & 0x1ffff)}.${microseconds(packed)}`;
}

export function packedTimeText(packed: bigint): string {
  const magnitude = packed < 0n ? -packed : packed;
  return `${packed < 0n ? '-' : ''}${timeOfDay(Number(magnitude >> 24n))}.${microseconds(magnitude)}`;
}

function microseconds(packed: bigint): string {
  return String(packed & 0xffffffn).padStart(6, '0');
}
