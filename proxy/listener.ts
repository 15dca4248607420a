import { chmod, rename, rm, stat } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { AppError } from '../core/errors.ts';
import type { Role } from '../core/routing-record.ts';
import { acceptWire } from './wire-socket.ts';

export interface Listener {
  role: Role;
  server: Server;
  port: number;
}

/** The kernel's queue of connections not accepted yet: a reconnecting fleet of applications comes at once. */
const BACKLOG = 1024;

/**
 * Listens for one kind of traffic. Workers are plain processes that share the port by SO_REUSEPORT, so that each goes
 * on accepting whatever becomes of the others and of the supervisor; node:cluster would end accepting with its primary.
 */
export async function listen(
  role: Role,
  { host, port, keepAliveMs }: { host: string; port: number; keepAliveMs: number },
  onConnection: (socket: Socket, role: Role) => void,
): Promise<Listener> {
  const options = { noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs, pauseOnConnect: true };
  const server = createServer(options, (socket) => onConnection(acceptWire(socket), role));
  try {
    await tryListen(server, { host, port, backlog: BACKLOG, reusePort: true });
  } catch (error) {
    if (!isUnsupported(error)) throw named(error, `${host}:${port}`);
    await tryListen(server, { host, port, backlog: BACKLOG }).catch((cause: unknown) => {
      throw named(cause, `${host}:${port}`);
    });
  }
  return { role, server, port: (server.address() as AddressInfo).port };
}

/**
 * `port` is 0. The socket appears under its name when it listens, in place of what is there: of a worker that died, or of one
 * that another takes over from. (Under its first name Node takes it away when it closes, which could be the other's.)
 */
export async function listenUnix(path: string, onConnection: (socket: Socket) => void): Promise<Listener> {
  const firstName = `${path}.${process.pid}`;
  await rm(firstName, { force: true });
  const server = createServer({ pauseOnConnect: true }, (socket) => onConnection(acceptWire(socket)));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ path: firstName, backlog: BACKLOG }, resolve);
  await promise;
  // As the server's own: whoever may log in may connect.
  await chmod(firstName, 0o777);
  const { ino } = await stat(firstName);
  await rename(firstName, path);
  server.once('close', () => void removeOwn(path, ino).catch(() => {}));
  return { role: 'primary', server, port: 0 };
}

async function removeOwn(path: string, ino: number): Promise<void> {
  if ((await stat(path)).ino === ino) await rm(path, { force: true });
}

const TURNS_MAX = 100;

/**
 * Stops accepting, in a turn of the event loop in which nobody connected: the kernel resets whoever waits in the queue of a
 * socket that closes, though another process listens on the port.
 */
export async function closeWhenQuiet(listeners: readonly Listener[]): Promise<void> {
  let connected = false;
  const note = () => (connected = true);
  for (const { server } of listeners) server.on('connection', note);
  for (let turn = 0; turn < TURNS_MAX && (turn < 2 || connected); turn += 1) {
    connected = false;
    await setImmediate();
  }
  for (const { server } of listeners) server.close();
}

async function tryListen(
  server: Server,
  options: { host: string; port: number; backlog: number; reusePort?: boolean },
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(options, resolve);
  await promise;
  server.off('error', reject);
}

function isUnsupported(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    (error.code === 'ENOTSUP' || error.code === 'EINVAL' || error.code === 'ENOPROTOOPT')
  );
}

function named(error: unknown, address: string): unknown {
  if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
    return new AppError('PORT_IN_USE', `${address} is in use by another process`, { cause: error });
  }
  return error;
}
