import { createPublicKey, randomBytes, sign, type KeyObject } from 'node:crypto';

/**
 * A self-signed X.509 certificate, since node:crypto reads certificates and makes none. Source of the structure:
 * RFC 5280, section 4.1; of the encoding: ITU-T X.690 (DER).
 */
export function selfSignedCertificate(
  privateKey: KeyObject,
  { commonName, days, now }: { commonName: string; days: number; now: Date },
): string {
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const name = sequence(set(sequence(oid(COMMON_NAME), utf8(commonName))));
  const until = new Date(now.getTime() + days * 86_400_000);
  const toBeSigned = sequence(
    tagged(0, integer(Buffer.of(2))),
    integer(positive(randomBytes(16))),
    signatureAlgorithm(),
    name,
    sequence(time(now), time(until)),
    name,
    publicKey,
    tagged(3, sequence(sequence(oid(BASIC_CONSTRAINTS), octets(sequence(boolean(true)))))),
  );
  const der = sequence(toBeSigned, signatureAlgorithm(), bits(sign('sha256', toBeSigned, privateKey)));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** Object identifiers, encoded: 2.5.4.3, 2.5.29.19, 1.2.840.113549.1.1.11. */
const COMMON_NAME = Buffer.of(0x55, 0x04, 0x03);
const BASIC_CONSTRAINTS = Buffer.of(0x55, 0x1d, 0x13);
const SHA256_WITH_RSA = Buffer.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b);

function element(tag: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.of(tag), length(content.length), content]);
}

function length(value: number): Buffer {
  if (value < 0x80) return Buffer.of(value);
  if (value < 0x100) return Buffer.of(0x81, value);
  return Buffer.of(0x82, value >> 8, value & 0xff);
}

const sequence = (...parts: Buffer[]): Buffer => element(0x30, Buffer.concat(parts));
const set = (...parts: Buffer[]): Buffer => element(0x31, Buffer.concat(parts));
const integer = (value: Buffer): Buffer => element(0x02, value);
const oid = (value: Buffer): Buffer => element(0x06, value);
const utf8 = (value: string): Buffer => element(0x0c, Buffer.from(value, 'utf8'));
const octets = (value: Buffer): Buffer => element(0x04, value);
const boolean = (value: boolean): Buffer => element(0x01, Buffer.of(value ? 0xff : 0));
const bits = (value: Buffer): Buffer => element(0x03, Buffer.concat([Buffer.of(0), value]));
const tagged = (tag: number, content: Buffer): Buffer => element(0xa0 | tag, content);
const signatureAlgorithm = (): Buffer => sequence(oid(SHA256_WITH_RSA), element(0x05, Buffer.alloc(0)));

/** The first bit of an integer is its sign; the first byte must not be superfluous. */
function positive(value: Buffer): Buffer {
  const copy = Buffer.from(value);
  copy[0] = ((copy[0] ?? 0) & 0x7f) | 0x40;
  return copy;
}

/** UTCTime up to 2049, GeneralizedTime after. */
function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]/g, '').slice(0, 14);
  return date.getUTCFullYear() < 2050
    ? element(0x17, Buffer.from(`${digits.slice(2)}Z`))
    : element(0x18, Buffer.from(`${digits}Z`));
}
