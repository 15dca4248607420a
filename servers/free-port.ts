import { createServer } from 'node:net';
import { AppError } from '../core/errors.ts';

const PORTS = 1500;
/**
 * Outside the kernel's range for outgoing connections (from 32768): there a port found free now may belong to some
 * client by the time that the server is started again on it. Test files that run at the same time have ranges of their own: a port
 * looks free to both until one listens.
 */
const FIRST_PORT = 20_000 + (Number(process.env['VITEST_POOL_ID'] ?? 0) % 8) * PORTS;

/**
 * One after the other from somewhere, so that a process is never given the same one twice: a port may be free, but
 * promised to what has not begun to listen yet, or belong to a server that is being restarted.
 */
let next = Math.floor(Math.random() * PORTS);

/** A port of 127.0.0.1 on which nobody listens. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = FIRST_PORT + next;
    next = (next + 1) % PORTS;
    if (await isFree(port)) return port;
  }
  throw new AppError('SERVER_NOT_STARTED', 'no free port was found');
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<boolean>();
  server.once('error', () => resolve(false));
  server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  return promise;
}
