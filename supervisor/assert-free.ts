import { lookup } from 'node:dns/promises';
import { connect } from 'node:net';
import type { ListenAddress } from '../config/schema.ts';
import { AppError } from '../core/errors.ts';

/** Nobody offers it: connecting there is refused at once. */
const UNUSED_PORT = 1;
const WAIT_MS = 1000;
const ANY: Partial<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/**
 * Workers share their ports (SO_REUSEPORT), so another program on the same port would go unnoticed by them. The address is tried
 * as the near end of a connection: a socket that listened, if only for a moment, would take clients who try again and again until
 * Switchyard is there, and reset them.
 */
export async function assertFree({ host, port }: ListenAddress): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.ErrnoException | undefined>();
  try {
    const { address } = await lookup(host);
    const there = ANY[address] ?? address;
    const socket = connect({
      host: there,
      port: UNUSED_PORT,
      localAddress: address,
      localPort: port,
      timeout: WAIT_MS,
    });
    for (const event of ['connect', 'timeout']) socket.once(event, () => resolve(undefined));
    socket.once('error', resolve);
    const error = await promise;
    socket.destroy();
    // libuv tells of a port in use when the socket is used.
    if (error?.syscall === 'bind' || error?.code === 'EADDRINUSE') throw error;
  } catch (cause) {
    throw new AppError('PORT_IN_USE', `cannot listen on ${host}:${port}: ${(cause as Error).message}`, { cause });
  }
}
