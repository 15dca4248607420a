import { connect, type Socket } from 'node:net';
import { Backoff } from '../backoff.ts';
import { isAbort } from '../abort.ts';
import { AppError } from '../errors.ts';
import { Peer, type Handlers } from './peer.ts';
import type { Hello, SupervisorMethods, Welcome } from './protocol.ts';

/** The supervisor as seen by a proxy or the engine. */
export type SupervisorPeer = Peer<SupervisorMethods, never>;

export interface ControlClientOptions<Local extends object> {
  socketPath: string;
  hello: () => Hello;
  handlers: Handlers<Local>;
  signal: AbortSignal;
  /** Called after each successful hello, the first one and those after a restart of the supervisor. */
  onConnected: (peer: SupervisorPeer, welcome: Welcome) => void;
  onDisconnected?: () => void;
}

/** Keeps one connection to the supervisor, with back-off, until `signal` aborts. */
export async function runControlClient<Local extends object>(options: ControlClientOptions<Local>): Promise<void> {
  const { socketPath, hello, handlers, signal, onConnected, onDisconnected } = options;
  const backoff = new Backoff({ initialMs: 20, maxMs: 1000 });
  while (!signal.aborted) {
    try {
      const socket = await open(socketPath, signal);
      const peer = new Peer<SupervisorMethods, never>(socket, handlers as unknown as Handlers<never>, supervisorGone);
      const stop = () => peer.close();
      signal.addEventListener('abort', stop, { once: true });
      const welcome = await peer.call('hello', hello());
      backoff.reset();
      onConnected(peer, welcome);
      await peer.closed;
      signal.removeEventListener('abort', stop);
      onDisconnected?.();
    } catch (error) {
      if (isAbort(error)) return;
    }
    if (!signal.aborted) await backoff.wait(signal).catch(() => {});
  }
}

function supervisorGone(): AppError {
  return new AppError('STORE_UNAVAILABLE', 'the supervisor does not answer');
}

async function open(socketPath: string, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ path: socketPath, signal });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('connect', resolve);
  socket.once('error', reject);
  await promise;
  return socket;
}
