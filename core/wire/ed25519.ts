import { createHash, createPrivateKey, pbkdf2Sync, randomBytes, sign } from 'node:crypto';

/**
 * Passwords of MariaDB's plugins ed25519 and parsec. Source: RFC 8032, section 5.1; MariaDB knowledge base,
 * "Authentication Plugin - ed25519" and "Authentication Plugin - PARSEC".
 */

/** The prime of the field, the order of the base point, and the curve's constant d. */
const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = modulo(-121665n * power(121666n, P - 2n), P);
const BASE: Point = affine(
  15112221349535400772501151409588531511454012693041857206046113283949847762202n,
  46316835694926478169428394003475163141307993866256225615783033603165251855960n,
);

/** Extended coordinates: x = X/Z, y = Y/Z, x·y = T/Z. */
interface Point {
  x: bigint;
  y: bigint;
  z: bigint;
  t: bigint;
}

/**
 * The answer of the plugin client_ed25519. It takes the password itself, of any length, where Ed25519 has a seed of 32
 * bytes; that is why node:crypto, which only takes seeds, cannot do it.
 */
export function ed25519Response(password: Buffer, scramble: Buffer): Buffer {
  const expanded = sha512(password);
  const scalarBytes = Buffer.from(expanded.subarray(0, 32));
  scalarBytes.writeUInt8(scalarBytes.readUInt8(0) & 0xf8, 0);
  scalarBytes.writeUInt8((scalarBytes.readUInt8(31) & 0x7f) | 0x40, 31);
  const secret = littleEndian(scalarBytes);
  const publicKey = encodePoint(multiply(BASE, secret));
  const nonce = modulo(littleEndian(sha512(expanded.subarray(32), scramble)), L);
  const commitment = encodePoint(multiply(BASE, nonce));
  const challenge = modulo(littleEndian(sha512(commitment, publicKey, scramble)), L);
  return Buffer.concat([commitment, encodeNumber(modulo(nonce + challenge * secret, L))]);
}

/** The header of a PKCS #8 document with an Ed25519 seed. Source: RFC 8410, section 7. */
const PKCS8_SEED = Buffer.from('302e020100300506032b657004220420', 'hex');
const PARSEC_SALT_HEADER = 2;

/** The answer of parsec: `salt` is the packet that the server sent when it was asked for it. */
export function parsecResponse(password: Buffer, scramble: Buffer, salt: Buffer): Buffer {
  const iterations = 1024 << salt.readUInt8(1);
  const seed = pbkdf2Sync(password, salt.subarray(PARSEC_SALT_HEADER), iterations, 32, 'sha512');
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_SEED, seed]), format: 'der', type: 'pkcs8' });
  const ours = randomBytes(32);
  return Buffer.concat([ours, sign(null, Buffer.concat([scramble, ours]), key)]);
}

function sha512(...parts: Buffer[]): Buffer {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function modulo(value: bigint, divisor: bigint): bigint {
  const rest = value % divisor;
  return rest < 0n ? rest + divisor : rest;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = modulo(base, P);
  for (let left = exponent; left > 0n; left >>= 1n) {
    if ((left & 1n) === 1n) result = (result * square) % P;
    square = (square * square) % P;
  }
  return result;
}

function affine(x: bigint, y: bigint): Point {
  return { x, y, z: 1n, t: modulo(x * y, P) };
}

/** Source: RFC 8032, section 5.1.4. */
function add(one: Point, other: Point): Point {
  const a = modulo((one.y - one.x) * (other.y - other.x), P);
  const b = modulo((one.y + one.x) * (other.y + other.x), P);
  const c = modulo(2n * one.t * other.t * D, P);
  const d = modulo(2n * one.z * other.z, P);
  const [e, f, g, h] = [b - a, d - c, d + c, b + a] as const;
  return { x: modulo(e * f, P), y: modulo(g * h, P), z: modulo(f * g, P), t: modulo(e * h, P) };
}

function multiply(point: Point, scalar: bigint): Point {
  let result = affine(0n, 1n);
  let doubled = point;
  for (let left = scalar; left > 0n; left >>= 1n) {
    if ((left & 1n) === 1n) result = add(result, doubled);
    doubled = add(doubled, doubled);
  }
  return result;
}

function encodePoint({ x, y, z }: Point): Buffer {
  const inverse = power(z, P - 2n);
  const encoded = encodeNumber(modulo(y * inverse, P));
  const sign = Number(modulo(x * inverse, P) & 1n) << 7;
  encoded.writeUInt8(encoded.readUInt8(31) | sign, 31);
  return encoded;
}

function littleEndian(bytes: Buffer): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
}

function encodeNumber(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse();
}
