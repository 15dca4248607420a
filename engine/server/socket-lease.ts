import type { Connection } from 'mysql2';
import type { Socket } from 'node:net';
import type { Bytes } from './connection.ts';

/**
 * The socket of an idle mysql2 connection for the length of one command that moves very many packets: what the server
 * sends goes to `onData` as the socket delivers it, past mysql2's parser, which makes an object per packet. mysql2 still
 * hears errors and the end. The command must be over (its last packet read) before `release`.
 */
export interface SocketLease {
  socket: Socket;
  /** COM_QUERY as packets; with the empty attribute block where the connection has agreed on query attributes. */
  query(sql: Bytes): Buffer;
  release(): void;
}

/** What we use of mysql2 beyond its types (lib/base/connection.js, lib/packets/query.js). */
interface DriverConnection {
  stream: Socket;
  config: { clientFlags: number };
  serverCapabilityFlags: number;
}

const CLIENT_QUERY_ATTRIBUTES = 0x08000000;
const PAYLOAD_MAX = 0xffffff;

export function leaseSocket(
  connection: Connection,
  { onData, onClose }: { onData: (data: Buffer) => void; onClose: (error: Error) => void },
): SocketLease {
  const driver = connection as unknown as DriverConnection;
  const socket = driver.stream;
  const lost = () => onClose(new Error('the connection was closed'));
  const failed = (error: Error) => onClose(error);
  const parked = socket.listeners('data') as ((data: Buffer) => void)[];
  for (const listener of parked) socket.off('data', listener);
  socket.on('data', onData);
  socket.on('close', lost);
  socket.on('error', failed);
  if (socket.destroyed) queueMicrotask(lost);
  const attributes = (driver.config.clientFlags & driver.serverCapabilityFlags & CLIENT_QUERY_ATTRIBUTES) !== 0;
  return {
    socket,
    query: (sql) => queryPackets(sql, attributes),
    release() {
      socket.off('data', onData);
      socket.off('close', lost);
      socket.off('error', failed);
      for (const listener of parked) socket.on('data', listener);
      socket.resume();
    },
  };
}

function queryPackets(sql: Bytes, attributes: boolean): Buffer {
  // 0x03 COM_QUERY; then no parameters, in one set
  // (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html).
  const payload = Buffer.from((attributes ? '\x03\x00\x01' : '\x03') + sql, 'latin1');
  return packets(payload, 0);
}

/** One payload as packets of at most 16 MiB, numbered from `sequence`. */
export function packets(payload: Buffer, sequence: number): Buffer {
  const parts: Buffer[] = [];
  for (let offset = 0, number = sequence; ; offset += PAYLOAD_MAX, number += 1) {
    const part = payload.subarray(offset, offset + PAYLOAD_MAX);
    const header = Buffer.allocUnsafe(4);
    header.writeUIntLE(part.length, 0, 3);
    header[3] = number & 0xff;
    parts.push(header, part);
    if (part.length < PAYLOAD_MAX) return Buffer.concat(parts);
  }
}
