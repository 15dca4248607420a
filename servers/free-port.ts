import { createServer, type Server } from 'node:net';
import { AppError } from '../core/errors.ts';

/**
 * Outside the kernel's range for outgoing connections (from 32768): there a port found free now may belong to some
 * client by the time that the server is started again on it.
 */
const FIRST_PORT = 20_000;
const BLOCK_PORTS = 50;
const BLOCKS = 250;

/**
 * A process takes its ports from blocks that are its own: one that looks free may be promised to what has not begun to listen yet, or
 * belong to a server that is being restarted. Who listens on the first port of a block has it, so other processes know, whoever started
 * them (test files, what these start, a second run on the machine), and it is free when the process has ended, however it does.
 */
let block: { first: number; used: number } | undefined;
/** One after the other: two that ask at once must not be given one port. */
let last: Promise<unknown> = Promise.resolve();

/** A port of 127.0.0.1 on which nobody listens, and which no process is given while this one runs. */
export function freePort(): Promise<number> {
  const port = last.then(nextPort);
  last = port.catch(() => {});
  return port;
}

async function nextPort(): Promise<number> {
  for (;;) {
    block ??= { first: await takeBlock(), used: 1 };
    while (block.used < BLOCK_PORTS) {
      const port = block.first + block.used;
      block.used += 1;
      const server = await listen(port);
      if (server === undefined) continue;
      await new Promise((resolve) => server.close(resolve));
      return port;
    }
    block = undefined;
  }
}

/** The first port of a block that nobody has. */
async function takeBlock(): Promise<number> {
  const from = Math.floor(Math.random() * BLOCKS);
  for (let index = 0; index < BLOCKS; index += 1) {
    const first = FIRST_PORT + ((from + index) % BLOCKS) * BLOCK_PORTS;
    const server = await listen(first);
    if (server === undefined) continue;
    server.unref();
    return first;
  }
  throw new AppError('SERVER_NOT_STARTED', 'no free port was found');
}

async function listen(port: number): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy());
  const { promise, resolve } = Promise.withResolvers<Server | undefined>();
  server.once('error', () => resolve(undefined));
  server.listen(port, '127.0.0.1', () => resolve(server));
  return await promise;
}
