import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Config } from '../config/schema.ts';
import { runControlClient, type SupervisorPeer } from '../core/control/client.ts';
import type { Handlers } from '../core/control/peer.ts';
import type {
  LocateRequest,
  PrepareReport,
  PrepareRequest,
  ProxyMethods,
  SessionLocation,
  Welcome,
} from '../core/control/protocol.ts';
import type { Side } from '../core/phase.ts';
import { createLogger } from '../core/log.ts';
import type { Role, RoutingRecord } from '../core/routing-record.ts';
import { ClientDoor } from './client-door.ts';
import { ConnectionIds } from './connection-ids.ts';
import { ConnectionLimits } from './connection-limits.ts';
import { sessionsWithinDescriptorLimit } from './descriptor-limit.ts';
import { DrainTracker, type DrainProgress } from './drain-tracker.ts';
import { closeWhenQuiet, listen, listenUnix, type Listener } from './listener.ts';
import { LoginLimiter } from './login-limiter.ts';
import { openBackends } from './open-backends.ts';
import { TrustedNetworks } from './proxy-protocol.ts';
import { prepareSessions } from './prepare-sessions.ts';
import { refusalReason } from './refusal-reason.ts';
import { Router, type SideSettings } from './router.ts';
import { ServerIdentities } from './server-identity.ts';
import { ProxyMetrics } from './session-metrics.ts';
import type { KillRequest } from './session-kill.ts';
import type { Session, SessionContext } from './session.ts';
import { SessionRegistry } from './session-registry.ts';
import { SessionWatch } from './session-watch.ts';
import { UserDirectory } from './user-directory.ts';
import { loadClientCertificate, loadTlsMaterial, type TlsMaterial } from './tls-material.ts';

export interface ProxyWorkerOptions {
  config: Config;
  dataDir: string;
  controlSocketPath: string;
  instanceId: string;
  signal: AbortSignal;
  /** Lets sessions reach their boundary, then ends as with `signal`. */
  drainSignal?: AbortSignal;
  /** The ports in use: of interest where the configuration says 0. */
  onListening?: (ports: { primary: number; replica: number | null }) => void;
}

/** For clients that were told the end to close. */
const GOODBYE_MS = 1000;

/** Runs one proxy process until `signal` aborts or it is drained. */
export async function runProxyWorker(options: ProxyWorkerOptions): Promise<void> {
  const worker = new ProxyWorker(options);
  await worker.run();
}

class ProxyWorker implements SessionContext {
  readonly instanceId: string;
  readonly router: Router;
  readonly metrics = new ProxyMetrics();
  readonly holdTimeoutMs: number;
  readonly #options: ProxyWorkerOptions;
  readonly #log: Logger;
  readonly #sessions = new SessionRegistry();
  readonly #ids = new ConnectionIds((id) => this.#sessions.has(id));
  readonly #identities: ServerIdentities;
  readonly #drains: DrainTracker<Session>;
  readonly #drained = new AbortController();
  readonly #welcomed = Promise.withResolvers<void>();
  #supervisor: SupervisorPeer | undefined;
  #door: ClientDoor | undefined;
  #progress: DrainProgress = { state: 'applied', undrained: [] };
  #listeners: Listener[] = [];
  #heldAt = 0;
  /** What the supervisor assigned. */
  #place: { slot: number; ownsSocket: boolean } | null = null;
  #listens = false;
  #draining: Promise<void> | undefined;

  constructor(options: ProxyWorkerOptions) {
    const { config, instanceId } = options;
    this.#options = options;
    this.#identities = new ServerIdentities(config.proxy.proxyProtocolTo);
    this.instanceId = instanceId;
    this.holdTimeoutMs = config.proxy.holdTimeoutMs;
    this.#log = createLogger(instanceId, config.log.level);
    this.router = new Router({ onChange: () => this.#onRouteChanged() });
    this.#drains = new DrainTracker((progress) => {
      this.#progress = progress;
      this.#acknowledge();
      const heldMs = Math.round(performance.now() - this.#heldAt);
      const undrained = progress.undrained.length;
      this.#log.info({ epoch: this.router.epoch, sessions: this.#sessions.size, undrained, heldMs }, progress.state);
    });
  }

  async run(): Promise<void> {
    const { config, controlSocketPath, instanceId, signal, drainSignal, onListening } = this.#options;
    const { required } = config.proxy.tls;
    let tls = await this.#loadCertificates();
    this.#reload = async () => {
      tls = await this.#loadCertificates();
      this.#log.info('certificates loaded again');
    };
    const {
      maxConnectionsPerAddress,
      maxConnectionsPerUser,
      handshakeTimeoutMs,
      users,
      relayedUsers,
      maxFailedLogins,
      proxyProtocolFrom,
    } = config.proxy;
    const door = new ClientDoor({
      tls: () => tls,
      tlsRequired: required,
      limits: new ConnectionLimits({
        max: await this.#connectionsMax(),
        maxPerAddress: maxConnectionsPerAddress,
        maxPerUser: maxConnectionsPerUser,
      }),
      handshakeTimeoutMs,
      ids: this.#ids,
      users: new UserDirectory(users, relayedUsers),
      balancers: new TrustedNetworks(proxyProtocolFrom),
      limiter: new LoginLimiter(maxFailedLogins),
      identities: this.#identities,
      metrics: this.metrics,
      context: this,
      onSession: (session) => this.#sessions.add(session),
      log: this.#log,
    });
    this.#door = door;
    const stop = AbortSignal.any([signal, this.#drained.signal]);
    const control = runControlClient<ProxyMethods>({
      socketPath: controlSocketPath,
      hello: () => ({
        role: 'proxy',
        instanceId,
        pid: process.pid,
        ...(this.#place === null ? {} : { former: { ...this.#place, listens: this.#listens } }),
      }),
      handlers: this.#handlers(),
      signal: stop,
      onConnected: (peer, welcome) => this.#onConnected(peer, welcome),
      onDisconnected: () => {
        this.#supervisor = undefined;
        this.#log.warn('lost the supervisor: serving the last route');
      },
    });
    const watch = new SessionWatch(config.proxy);
    const looking = setInterval(() => watch.look(this.#sessions.all(), performance.now()), watch.intervalMs);
    drainSignal?.addEventListener('abort', () => void this.#drain(config.proxy.drainTimeoutMs));
    try {
      // Before the first word of the supervisor nobody could be told where to go.
      await Promise.race([this.#welcomed.promise, control]);
      const { listen: address, replicaListen, keepAliveMs } = config.proxy;
      const accept = (socket: Socket, role: Role) => door.accept(socket, role);
      this.#listeners.push(await listen('primary', { ...address, keepAliveMs }, accept));
      if (config.proxy.socket !== null && this.#place?.ownsSocket === true)
        this.#listeners.push(await listenUnix(config.proxy.socket, (socket) => accept(socket, 'primary')));
      if (replicaListen !== null)
        this.#listeners.push(await listen('replica', { ...replicaListen, keepAliveMs }, accept));
      const portOf = (role: Role) =>
        this.#listeners.find((listener) => listener.role === role && listener.port !== 0)?.port;
      this.#listens = true;
      this.#supervisor?.notify('proxyListens', { instanceId });
      onListening?.({ primary: portOf('primary') ?? 0, replica: portOf('replica') ?? null });
      await control;
    } finally {
      this.#drained.abort();
      clearInterval(looking);
      this.router.close();
      this.#drains.end();
      for (const { server } of this.#listeners) server.close();
      for (const session of this.#sessions.all()) session.cutOff();
      await control;
    }
  }

  /** What the configuration allows, or less where the system does not. */
  async #connectionsMax(): Promise<number> {
    const { maxConnections } = this.#options.config.proxy;
    const possible = await sessionsWithinDescriptorLimit();
    if (possible === null || possible >= maxConnections) return maxConnections;
    this.#log.warn(
      { maxConnections, possible },
      `the limit of open files allows ${possible} connections, not ${maxConnections}: raise it (ulimit -n, LimitNOFILE) or lower proxy.maxConnections`,
    );
    return possible;
  }

  /** What the files hold now, for clients and for servers. */
  async #loadCertificates(): Promise<TlsMaterial> {
    const { config, dataDir } = this.#options;
    const { tls, serverCertificates, proxyProtocolTo } = config.proxy;
    const material = await loadTlsMaterial({ dataDir, ...tls });
    const settingsOf = async (side: Side): Promise<SideSettings> => {
      const files = serverCertificates[side];
      const clientCertificate = files === undefined ? undefined : await loadClientCertificate(side, files);
      return { clientCertificate, wantsProxyHeader: proxyProtocolTo.includes(side) };
    };
    this.router.configure({ source: await settingsOf('source'), target: await settingsOf('target') });
    return material;
  }

  onStays(session: Session): void {
    this.#drains.stays(session);
  }

  onSettled(session: Session): void {
    this.#drains.settled(session);
  }

  onClosed(session: Session): void {
    this.#sessions.delete(session);
    this.#drains.left(session);
  }

  onMoveFailed(session: Session, error: unknown): void {
    this.metrics.moves.inc({ outcome: 'failed' });
    this.metrics.failedMoves.inc({ reason: refusalReason(error) });
    const { sessionId, user, address, side } = session.view();
    const why = error instanceof Error ? error.message : String(error);
    this.#log.warn({ sessionId, user, address, from: side, why }, 'a session could not be carried over and is ended');
  }

  async kill(session: Session, request: KillRequest): Promise<Buffer> {
    return session.kill(request, {
      destinationOn: (side, role) => this.router.destinationOn(side, role),
      locate: async (sought) => this.#sessions.locate(sought) ?? (await this.#locateElsewhere(sought)),
    });
  }

  /** A supervisor that goes meanwhile knows nobody. */
  async #locateElsewhere(sought: LocateRequest): Promise<SessionLocation | null> {
    return (await this.#supervisor?.call('locateSession', sought).catch(() => null)) ?? null;
  }

  async changeUser(session: Session, payload: Buffer): Promise<void> {
    await this.#door?.changeUser(session, payload);
  }

  #reload: () => Promise<void> = async () => {};

  #handlers(): Handlers<ProxyMethods> {
    return {
      route: ({ record }) => this.#apply(record),
      prepare: (request) => this.#prepare(request),
      backendConnections: () => openBackends(),
      locateSession: (request) => this.#sessions.locate(request),
      sessions: () => Array.from(this.#sessions.all(), (session) => session.view()),
      closeSessions: ({ sessionIds }) => this.#sessions.close(new Set(sessionIds)),
      reload: () => this.#reload(),
      collectMetrics: async () => {
        this.#sessions.countInto(this.metrics);
        return { text: await this.metrics.text() };
      },
      drain: ({ timeoutMs }) => this.#drain(timeoutMs),
    };
  }

  #onConnected(peer: SupervisorPeer, { route, slot, ownsSocket }: Welcome): void {
    this.#supervisor = peer;
    this.#place = { slot, ownsSocket };
    this.#ids.slot = slot;
    this.#welcomed.resolve();
    if (route === null) return;
    if (route.epoch === this.router.epoch) this.#acknowledge();
    else this.#apply(route);
  }

  #apply(record: RoutingRecord): void {
    const wasHeld = this.router.heldRoles().length > 0;
    if (!wasHeld) this.#heldAt = performance.now();
    if (!this.router.apply(record)) return;
    this.#identities.learn(record);
    this.#log.info(
      {
        epoch: record.epoch,
        primary: record.primary,
        replica: record.replica,
        hold: record.hold,
        fenced: record.fenced,
      },
      'route',
    );
    if (record.hold === 'none') {
      for (const session of this.#sessions.all()) session.dropUnneededMove();
    } else if (!wasHeld) {
      this.metrics.holds.inc();
    }
  }

  /** Also when the deadline ended a hold. */
  #onRouteChanged(): void {
    const held = this.router.heldRoles();
    this.#sessions.reconsider({ inTurns: held.length === 0 });
    if (held.length > 0) {
      this.#drains.begin(this.#sessions.ofRoles(held));
      return;
    }
    this.#drains.end();
    this.#progress = { state: 'applied', undrained: [] };
    if (this.router.releasedByDeadline) {
      this.metrics.deadlineReleases.inc();
      this.#log.warn(
        { epoch: this.router.epoch },
        'the deadline of the hold passed before the fence: released to the current side',
      );
    }
    this.#acknowledge();
  }

  #acknowledge(): void {
    this.#supervisor?.notify('proxyAck', {
      instanceId: this.instanceId,
      epoch: this.router.epoch,
      state: this.#progress.state,
      sessions: this.#sessions.size,
      undrained: this.#progress.undrained,
    });
  }

  async #prepare({ role, to, budgetMs }: PrepareRequest): Promise<PrepareReport> {
    const destination = this.router.destinationOn(to, role);
    if (destination === null) return { prepared: 0, failures: [], pinned: [], left: 0 };
    const sessions = this.#sessions.ofRoles([role]);
    return prepareSessions(sessions, destination, budgetMs);
  }

  /** Sessions end at their boundary; those that have none by then end all the same. */
  async #drain(timeoutMs: number): Promise<void> {
    this.#draining ??= this.#drainOnce(timeoutMs);
    await this.#draining;
  }

  async #drainOnce(timeoutMs: number): Promise<void> {
    this.#log.info({ sessions: this.#sessions.size }, 'draining');
    this.#listens = false;
    await closeWhenQuiet(this.#listeners);
    const nobodyWaits = this.#door?.close();
    for (const session of this.#sessions.all()) session.shutDown();
    const timeout = Promise.withResolvers<void>();
    const timer = setTimeout(timeout.resolve, timeoutMs);
    await Promise.race([Promise.all([this.#sessions.emptied(), nobodyWaits]), timeout.promise]);
    clearTimeout(timer);
    for (const session of this.#sessions.all()) session.cutOff();
    // What a client was told could be lost with the end of the process, if it has sent something since.
    await Promise.race([this.#door?.deserted(), delay(GOODBYE_MS)]);
    // The answer to this call goes out first.
    setImmediate(() => this.#drained.abort());
  }
}
