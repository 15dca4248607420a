import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { once } from 'node:events';
import { AppError } from '../../core/errors.ts';
import { startWatchdog } from '../../servers/watchdog.ts';

/** A proxy of somebody else that runs in front of the server. Disposing ends it. */
export interface ProxyPeer extends AsyncDisposable {
  version: string;
  port: number;
  pid: number;
}

export interface PeerProgram {
  program: string;
  version: string;
  /** Where it will listen. */
  port: number;
  /** Text of its configuration file; `folder` is its own, removed at the end. */
  configuration: (folder: string) => string;
  /** Its arguments for the file of that name. */
  args: (file: string) => string[];
}

const READY_MS = 15_000;

/** Resolves once it takes connections; rejects with SERVER_NOT_STARTED and the end of its output. */
export async function startPeer({ program, version, port, configuration, args }: PeerProgram): Promise<ProxyPeer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-peer-'));
  const watchdog = startWatchdog(folder);
  const file = path.join(folder, 'peer.conf');
  const log = path.join(folder, 'peer.log');
  await writeFile(file, configuration(folder));
  // Through a shell for the log only: `exec` leaves no second process.
  const child = spawn('/bin/sh', ['-c', 'exec "$0" "$@" >"$PEER_LOG" 2>&1', program, ...args(file)], {
    stdio: 'ignore',
    detached: true,
    env: { ...process.env, PEER_LOG: log },
  });
  watchdog.watch(child.pid ?? null);
  const dispose = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
    watchdog.dismiss();
    await rm(folder, { recursive: true, force: true });
  };
  const deadline = Date.now() + READY_MS;
  while (!(await answers(port))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      const output = await readFile(log, 'utf8').catch(() => '');
      await dispose();
      throw new AppError('SERVER_NOT_STARTED', `${program} does not listen on ${port}: ${output.slice(-1000)}`);
    }
    await delay(50);
  }
  return { version, port, pid: child.pid ?? 0, [Symbol.asyncDispose]: dispose };
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.once('connect', () => resolve(true));
  socket.once('error', () => resolve(false));
  const answered = await promise;
  socket.destroy();
  return answered;
}
