import { isIPv6 } from 'node:net';
import { MalformedPacketError } from './byte-reader.ts';

/** The PROXY protocol, by which a load balancer tells whom it connects. Source: HAProxy, doc/proxy-protocol.txt. */
export interface ClientAddress {
  host: string;
  port: number;
}

export interface ProxyHeader {
  /** Null: the balancer speaks for itself (a health check). */
  client: ClientAddress | null;
  /** Bytes that the header took. */
  length: number;
}

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const V1_PREFIX = Buffer.from('PROXY ');
const V1_BYTES_MAX = 107;
const V2_FIXED_BYTES = 16;
/** Addresses and what extensions follow them. */
const V2_BODY_BYTES_MAX = 4096;
const FAMILY = { INET: 1, INET6: 2 } as const;

/** For a connection that is nobody's: the command LOCAL. */
export const OWN_PROXY_HEADER = Buffer.concat([SIGNATURE, Buffer.of(0x20, 0, 0, 0)]);

/** Undefined: more bytes are needed. Throws MalformedPacketError for anything that is no header. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader | undefined {
  if (startsLike(bytes, SIGNATURE)) return bytes.length < V2_FIXED_BYTES ? undefined : parseBinary(bytes);
  if (startsLike(bytes, V1_PREFIX)) return parseText(bytes);
  throw new MalformedPacketError('no PROXY protocol header');
}

/** Version 2, for a connection of our own in the name of `client`. */
export function buildProxyHeader(client: ClientAddress, server: ClientAddress): Buffer {
  const isV6 = isIPv6(client.host) || isIPv6(server.host);
  const body = [
    addressBytes(client.host, isV6),
    addressBytes(server.host, isV6),
    uint16(client.port),
    uint16(server.port),
  ];
  const length = body.reduce((sum, part) => sum + part.length, 0);
  const family = isV6 ? FAMILY.INET6 : FAMILY.INET;
  return Buffer.concat([SIGNATURE, Buffer.of(0x21, (family << 4) | 1), uint16(length), ...body]);
}

function startsLike(bytes: Buffer, prefix: Buffer): boolean {
  const length = Math.min(bytes.length, prefix.length);
  return bytes.subarray(0, length).equals(prefix.subarray(0, length));
}

function parseText(bytes: Buffer): ProxyHeader | undefined {
  const end = bytes.indexOf('\r\n');
  if (end === -1) {
    if (bytes.length > V1_BYTES_MAX) throw new MalformedPacketError('a PROXY header without an end');
    return undefined;
  }
  const [, protocol, host = '', , port = ''] = bytes.toString('latin1', 0, end).split(' ');
  const length = end + 2;
  if (protocol === 'UNKNOWN') return { client: null, length };
  if ((protocol !== 'TCP4' && protocol !== 'TCP6') || !/^\d{1,5}$/.test(port) || host === '') {
    throw new MalformedPacketError('a malformed PROXY header');
  }
  return { client: { host, port: Number(port) }, length };
}

function parseBinary(bytes: Buffer): ProxyHeader | undefined {
  const versionAndCommand = bytes.readUInt8(12);
  const family = bytes.readUInt8(13) >> 4;
  const bodyLength = bytes.readUInt16BE(14);
  const length = V2_FIXED_BYTES + bodyLength;
  if (versionAndCommand >> 4 !== 2 || bodyLength > V2_BODY_BYTES_MAX)
    throw new MalformedPacketError('a malformed PROXY header');
  if (bytes.length < length) return undefined;
  const isLocal = (versionAndCommand & 0x0f) === 0;
  const hostBytes = family === FAMILY.INET ? 4 : family === FAMILY.INET6 ? 16 : 0;
  if (isLocal || hostBytes === 0) return { client: null, length };
  if (bodyLength < hostBytes * 2 + 4) throw new MalformedPacketError('a malformed PROXY header');
  const host = hostText(bytes.subarray(V2_FIXED_BYTES, V2_FIXED_BYTES + hostBytes));
  return { client: { host, port: bytes.readUInt16BE(V2_FIXED_BYTES + hostBytes * 2) }, length };
}

function hostText(bytes: Buffer): string {
  if (bytes.length === 4) return [...bytes].join('.');
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

function addressBytes(host: string, isV6: boolean): Buffer {
  if (!isV6) return Buffer.from(host.split('.').map(Number));
  if (!isIPv6(host)) return Buffer.concat([Buffer.alloc(10), Buffer.of(0xff, 0xff), addressBytes(host, false)]);
  // Normalised, without an embedded IPv4 address; `::` stands for the groups that are missing.
  const [head = '', tail] = new URL(`http://[${host}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const [first, last] = [groups(head), groups(tail ?? '')];
  const all = [...first, ...Array.from({ length: 8 - first.length - last.length }, () => 0), ...last];
  return Buffer.concat(all.map(uint16));
}

function uint16(value: number): Buffer {
  return Buffer.of((value >> 8) & 0xff, value & 0xff);
}
