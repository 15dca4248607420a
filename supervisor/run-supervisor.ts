import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { LogStore } from '../admin/log-store.ts';
import { startAdminServer } from '../admin/server.ts';
import type { Config, ListenAddress } from '../config/schema.ts';
import { systemClock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { RoutingRecord } from '../core/routing-record.ts';
import { SqliteStore } from '../core/store/sqlite.ts';
import { adminBackend, EventHub } from './admin-backend.ts';
import { ENGINE_NODE_OPTIONS } from '../engine/engine-memory.ts';
import { Child } from './child.ts';
import { ControlServer } from './control-server.ts';
import { Fleet } from './fleet.ts';

export interface SupervisorOptions {
  config: Config;
  /** Handed to the child processes, so that they read the same configuration. */
  configArguments: string[];
  mainPath: string;
  signal: AbortSignal;
  log: Logger;
  /** Told once everything listens. */
  onReady: (addresses: { admin: ListenAddress }) => void;
  /** Called once with what reads the certificates again. */
  onReloadRequested: (reload: () => void) => void;
}

/** Workers of a supervisor that died come back within the back-off of their control client (core/control/client.ts). */
const ADOPTION_MS = 1200;
const DRAIN_MS = 10_000;

/** Runs until `signal` aborts, then drains the proxies and ends its children. */
export async function runSupervisor({
  config,
  configArguments,
  mainPath,
  signal,
  log,
  onReady,
  onReloadRequested,
}: SupervisorOptions): Promise<void> {
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const controlSocketPath = join(config.dataDir, 'control.sock');
  const fleet = new Fleet();
  using logs = new LogStore(join(config.dataDir, 'logs.sqlite'));
  const hub = new EventHub(logs);
  using store = new SqliteStore(join(config.dataDir, 'state.sqlite'), (key, value) => {
    if (key === 'route' && value !== undefined) fleet.push(value as RoutingRecord);
  });
  const orphans = await ControlServer.wasLeftBehind(controlSocketPath);
  const control = await ControlServer.listen({
    socketPath: controlSocketPath,
    store,
    fleet,
    onPublish: (event) => hub.publish(event),
    onHello: ({ role, instanceId, pid }) => log.info({ role, instanceId, pid }, 'connected'),
  });
  const children = new AbortController();
  const workers: Child[] = [];
  try {
    const { workers: count, listen, replicaListen } = config.proxy;
    const backend = adminBackend({ control: () => control, fleet, store, logs, workers: count }, hub);
    const admin = await startAdminServer({
      listen: config.admin.listen,
      token: config.admin.token,
      backend,
      signal,
      onError: (error) => log.error({ err: error }, 'admin request failed'),
    });
    // Proxies of a supervisor that died go on serving and are taken over: nobody's connection is cut by a restart.
    if (orphans) await systemClock.sleep(ADOPTION_MS);
    const adopted = fleet.size;
    if (adopted === 0)
      for (const address of replicaListen === null ? [listen] : [listen, replicaListen]) await assertFree(address);
    const common = { mainPath, signal: children.signal, log };
    const startWorker = () => {
      const args = ['run-proxy', '--instance', `proxy-${randomUUID()}`, ...configArguments];
      workers.push(new Child({ ...common, name: `proxy-${workers.length}`, arguments: args }));
    };
    // An adopted worker has no parent that would start it again: its place is taken when it leaves.
    for (const peer of fleet.peers())
      void peer.closed.then(() => (children.signal.aborted ? undefined : startWorker()));
    for (let index = adopted; index < count; index += 1) startWorker();
    const engine = new Child({
      ...common,
      name: 'engine',
      arguments: ['run-engine', ...configArguments],
      nodeOptions: ENGINE_NODE_OPTIONS,
    });
    onReady({ admin: admin.address });
    onReloadRequested(() => {
      fleet
        .reload()
        .catch((error: unknown) => log.error({ err: error }, 'reload: going on with the former certificates'));
    });
    await aborted(signal);
    log.info('stopping');
    await admin.close();
    children.abort();
    engine.kill('SIGTERM');
    await Promise.all([engine.ended, drain(fleet, workers)]);
  } finally {
    children.abort();
    for (const worker of workers) worker.kill('SIGTERM');
    control.close();
  }
}

async function drain(fleet: Fleet, workers: Child[]): Promise<void> {
  await Promise.allSettled(fleet.peers().map((peer) => peer.call('drain', { timeoutMs: DRAIN_MS })));
  for (const worker of workers) worker.kill('SIGTERM');
  await Promise.all(workers.map(({ ended }) => ended));
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

/** Workers share their ports (SO_REUSEPORT), so another program on the same port would go unnoticed by them. */
async function assertFree({ host, port }: ListenAddress): Promise<void> {
  const server = createServer();
  server.listen({ host, port });
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new AppError('PORT_IN_USE', `cannot listen on ${host}:${port}: ${(cause as Error).message}`, { cause });
  }
  server.close();
  await once(server, 'close');
}
