import type { Socket } from 'node:net';
import type { BackendView } from '../core/control/protocol.ts';
import type { Destination } from './backend-connection.ts';

/**
 * Every connection of this process to a database server, whoever owns it: sessions, moves prepared ahead, goodbyes that
 * wait. From the server's greeting, which is before the server lists it under an account, to the end of the socket; so
 * that a process list read before this list is asked holds no connection of ours that is not in it, unless it has ended.
 */
const open = new Map<Socket, BackendView>();

export function registerBackend(socket: Socket, { side, endpoint }: Destination, connectionId: number): void {
  open.set(socket, { side, host: endpoint.host, port: endpoint.port, connectionId });
  socket.once('close', () => open.delete(socket));
}

export function openBackends(): BackendView[] {
  return [...open.values()];
}
