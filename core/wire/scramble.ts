import {
  constants,
  createHash,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  timingSafeEqual,
  type KeyObject,
} from 'node:crypto';

export const SCRAMBLE_BYTES = 20;

/** Bytes 1 to 127: a zero would end the string for clients that read it as one, and the server sends none above. */
export function newScramble(): Buffer {
  return Buffer.from(randomBytes(SCRAMBLE_BYTES).map((byte) => (byte % 127) + 1));
}

function digest(algorithm: 'sha1' | 'sha256', ...parts: Buffer[]): Buffer {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** `mask` is repeated as often as needed. */
function xor(bytes: Buffer, mask: Buffer): Buffer {
  const result = Buffer.from(bytes);
  for (let index = 0; index < result.length; index += 1) {
    result.writeUInt8(bytes.readUInt8(index) ^ mask.readUInt8(index % mask.length), index);
  }
  return result;
}

/** mysql_native_password: SHA1(password) XOR SHA1(scramble + SHA1(SHA1(password))); nothing for no password. */
export function nativePasswordResponse(password: Buffer, scramble: Buffer): Buffer {
  if (password.length === 0) return Buffer.alloc(0);
  const stage1 = digest('sha1', password);
  return xor(stage1, digest('sha1', scramble, digest('sha1', stage1)));
}

/** caching_sha2_password: SHA256(password) XOR SHA256(SHA256(SHA256(password)) + scramble); nothing for no password. */
export function cachingSha2Response(password: Buffer, scramble: Buffer): Buffer {
  if (password.length === 0) return Buffer.alloc(0);
  const stage1 = digest('sha256', password);
  return xor(stage1, digest('sha256', digest('sha256', stage1), scramble));
}

export function isNativeResponseTo(password: Buffer, scramble: Buffer, response: Buffer): boolean {
  const expected = nativePasswordResponse(password, scramble);
  return expected.length === response.length && timingSafeEqual(expected, response);
}

export function isCachingSha2ResponseTo(password: Buffer, scramble: Buffer, response: Buffer): boolean {
  const expected = cachingSha2Response(password, scramble);
  return expected.length === response.length && timingSafeEqual(expected, response);
}

/** The password and its NUL, masked with the scramble, under the server's RSA key (OAEP with SHA-1, as the server has it). */
export function encryptPassword(password: Buffer, scramble: Buffer, publicKeyPem: Buffer): Buffer {
  const masked = xor(Buffer.concat([password, Buffer.of(0)]), scramble);
  return publicEncrypt({ key: publicKeyPem, padding: constants.RSA_PKCS1_OAEP_PADDING }, masked);
}

/** Throws when the bytes were not encrypted for this key. */
export function decryptPassword(encrypted: Buffer, scramble: Buffer, privateKey: KeyObject): Buffer {
  const masked = privateDecrypt({ key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING }, encrypted);
  return withoutNul(xor(masked, scramble));
}

export function withoutNul(text: Buffer): Buffer {
  const end = text.indexOf(0);
  return end === -1 ? text : text.subarray(0, end);
}
