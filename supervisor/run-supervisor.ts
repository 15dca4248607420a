import { once } from 'node:events';
import type { Logger } from 'pino';
import { LogStore } from '../admin/log-store.ts';
import { startAdminServer, type AdminServer } from '../admin/server.ts';
import type { Config, ListenAddress } from '../config/schema.ts';
import { systemClock } from '../core/clock.ts';
import type { RoutingRecord } from '../core/routing-record.ts';
import { SqliteStore } from '../core/store/sqlite.ts';
import { adminBackend, EventHub } from './admin-backend.ts';
import { assertFree } from './assert-free.ts';
import { assertNoHold } from './assert-no-hold.ts';
import { Children, DRAIN_GRACE_MS } from './children.ts';
import { ControlServer } from './control-server.ts';
import { DataLock } from './data-lock.ts';
import { Fleet } from './fleet.ts';
import { openDataDir, usable } from './open-data-dir.ts';
import { RouteGate } from './route-gate.ts';
import { RETURN_MS, retireInTurn, takeOver, untilReturned } from './takeover.ts';

export interface SupervisorOptions {
  config: Config;
  /** Handed to the child processes, so that they read the same configuration. */
  configArguments: string[];
  mainPath: string;
  /** Takes over from the supervisor that runs on the same data directory, and puts new proxies in the place of its. */
  replace: boolean;
  signal: AbortSignal;
  log: Logger;
  /** Told once the admin server and the proxies listen. */
  onReady: (addresses: { admin: ListenAddress }) => void;
  /** Called once with what reads the certificates again. */
  onReloadRequested: (reload: () => void) => void;
}

/** Workers of a supervisor that died come back within the back-off of their control client (core/control/client.ts). */
const ADOPTION_MS = 1200;

/** Runs until `signal` aborts, then drains the proxies and ends its children; or until another supervisor takes over. */
export async function runSupervisor({
  config,
  configArguments,
  mainPath,
  replace,
  signal,
  log,
  onReady,
  onReloadRequested,
}: SupervisorOptions): Promise<void> {
  const pathOf = openDataDir(config.dataDir);
  const controlSocketPath = pathOf('control.sock');
  const fleet = new Fleet();
  const former = replace ? await takeOver(controlSocketPath) : [];
  if (!replace) await ControlServer.assertNobodyListens(controlSocketPath);
  using _lock = usable(pathOf('lock.sqlite'), () => new DataLock(pathOf('lock.sqlite')));
  fleet.retire(former);
  const gate = new RouteGate(log);
  // What was served until now is the newest there is.
  if (former.length > 0) gate.open();
  using logs = usable(pathOf('logs.sqlite'), () => new LogStore(pathOf('logs.sqlite')));
  const hub = new EventHub(logs);
  const onChange = (key: string, value: unknown) => {
    if (key === 'route' && value !== undefined) fleet.push(value as RoutingRecord);
  };
  using store = usable(pathOf('state.sqlite'), () => new SqliteStore(pathOf('state.sqlite'), onChange));
  const orphans = await ControlServer.wasLeftBehind(controlSocketPath);
  const left = Promise.withResolvers<void>();
  const control = await ControlServer.listen({
    socketPath: controlSocketPath,
    store,
    fleet,
    gate,
    onPublish: (event) => hub.publish(event),
    onHello: ({ role, instanceId, pid }) => log.info({ role, instanceId, pid }, 'connected'),
    isOwnEngine: (pid) => children.isOwnEngine(pid),
    onHandOver: async () => {
      await assertNoHold(store);
      log.info('another supervisor takes over');
      await children.endEngine();
      await admin?.close();
      // The answer goes out first.
      setImmediate(() => left.resolve());
      return { proxies: fleet.members().map(({ instanceId }) => instanceId) };
    },
  });
  const { scheduling: workerScheduling } = config.proxy;
  const children = new Children({ mainPath, configArguments, workerScheduling, log });
  let admin: AdminServer | undefined;
  try {
    const { workers: count, listen, replicaListen, drainTimeoutMs } = config.proxy;
    admin = await startAdminServer({
      listen: config.admin.listen,
      token: config.admin.token,
      backend: adminBackend({ control: () => control, fleet, store, logs, workers: count }, hub),
      signal,
      onError: (error) => log.error({ err: error }, 'admin request failed'),
    });
    const addresses = replicaListen === null ? [listen] : [listen, replicaListen];
    // Proxies of a supervisor that died go on serving and are adopted: nobody's connection is cut by a restart. The socket it left
    // says so, unless a start that failed, or a takeover, has taken that away: then a port that is not free does.
    const areSome = orphans || (former.length === 0 && !(await areFree(addresses)));
    if (areSome && !orphans)
      await fleet.until(() => fleet.members().length > 0, AbortSignal.timeout(RETURN_MS)).catch(() => {});
    if (areSome) await systemClock.sleep(ADOPTION_MS);
    await untilReturned(fleet, former);
    if (replace) fleet.retire(fleet.members().map(({ instanceId }) => instanceId));
    const adopted = fleet.staying();
    if (fleet.members().length === 0) for (const address of addresses) await assertFree(address);
    for (const peer of adopted) children.adopt(peer);
    for (let index = adopted.length; index < count; index += 1) children.startWorker();
    children.startEngine();
    // Ends with the supervisor, which drains the rest itself.
    if (replace) retireInTurn(fleet, { count, drainTimeoutMs, signal, log }).catch(() => {});
    const { address } = admin;
    fleet
      .until(() => fleet.listening >= count, signal)
      .then(
        () => onReady({ admin: address }),
        () => {},
      );
    onReloadRequested(() => {
      fleet
        .reload()
        .catch((error: unknown) => log.error({ err: error }, 'reload: going on with the former certificates'));
    });
    await Promise.race([aborted(signal), left.promise]);
    if (!signal.aborted) {
      children.leaveWorkers();
      return;
    }
    log.info('stopping');
    await admin.close();
    await Promise.all([children.endEngine(), drain(fleet, children, drainTimeoutMs)]);
  } finally {
    // A start that fails must end the process: what listens would keep it, and its port, for nothing.
    await admin?.close();
    children.dismissWorkers();
    control.close();
  }
}

async function drain(fleet: Fleet, children: Children, timeoutMs: number): Promise<void> {
  const signal = AbortSignal.timeout(timeoutMs + DRAIN_GRACE_MS);
  await Promise.allSettled(fleet.peers().map((peer) => peer.call('drain', { timeoutMs }, { signal })));
  await children.endWorkers(timeoutMs);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

async function areFree(addresses: readonly ListenAddress[]): Promise<boolean> {
  const found = await Promise.allSettled(addresses.map((address) => assertFree(address)));
  return found.every(({ status }) => status === 'fulfilled');
}
