/** A client's request for TLS, in answer to the greeting. */
export function sslRequest(): Buffer {
  const request = Buffer.alloc(36);
  request.writeUIntLE(32, 0, 3);
  request.writeUInt8(1, 3);
  request.writeUInt32LE(0x8_8a00, 4);
  return request;
}
