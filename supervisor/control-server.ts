import { existsSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { AppError } from '../core/errors.ts';
import { Peer, type Handlers } from '../core/control/peer.ts';
import type {
  EngineMethods,
  Hello,
  ProxyMethods,
  PublishedEvent,
  SupervisorMethods,
  Welcome,
} from '../core/control/protocol.ts';
import type { RoutingRecord } from '../core/routing-record.ts';
import type { StateStore } from '../core/store/state-store.ts';
import type { Fleet } from './fleet.ts';
import { unusable } from './open-data-dir.ts';
import type { RouteGate } from './route-gate.ts';

export type EnginePeer = Peer<EngineMethods, never>;

export interface ControlServerOptions {
  socketPath: string;
  store: StateStore;
  fleet: Fleet;
  gate: RouteGate;
  onPublish: (event: PublishedEvent) => void;
  onHello: (hello: Hello) => void;
  /** Whether that is the engine which this supervisor has started. */
  isOwnEngine: (pid: number) => boolean;
  /** See `SupervisorMethods.handOver`. */
  onHandOver: () => Promise<{ proxies: string[] }>;
}

/** Listens for proxies and the engine. */
export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #engine: EnginePeer | undefined;

  private constructor(options: ControlServerOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** Rejects with PORT_IN_USE when another supervisor runs on the same data directory. */
  static async assertNobodyListens(socketPath: string): Promise<void> {
    if (!existsSync(socketPath) || !(await answers(socketPath))) return;
    throw new AppError(
      'PORT_IN_USE',
      `another switchyard runs on this data directory (${socketPath} answers); --replace takes over from it`,
    );
  }

  /** To be called by who holds the lock of the data directory: what a dead one has left is replaced. */
  static async listen(options: ControlServerOptions): Promise<ControlServer> {
    const { socketPath } = options;
    await ControlServer.assertNobodyListens(socketPath);
    rmSync(socketPath, { force: true });
    const control = new ControlServer(options);
    const listening = once(control.#server, 'listening');
    try {
      control.#server.listen(socketPath);
      await listening;
    } catch (cause) {
      listening.catch(() => {});
      throw unusable(socketPath, cause);
    }
    return control;
  }

  /** True when a socket is there that nobody listens on: a supervisor died, and its proxies may still serve. */
  static async wasLeftBehind(socketPath: string): Promise<boolean> {
    return existsSync(socketPath) && !(await answers(socketPath));
  }

  /** The engine, or ENGINE_UNAVAILABLE. */
  get engine(): EnginePeer {
    if (this.#engine === undefined) throw new AppError('ENGINE_UNAVAILABLE', 'the engine is not running at the moment');
    return this.#engine;
  }

  get hasEngine(): boolean {
    return this.#engine !== undefined;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    const handlers = this.#handlers(async (hello) => this.#register(hello, peer));
    const peer: Peer<ProxyMethods & EngineMethods, never> = new Peer(
      socket,
      handlers as unknown as Handlers<never>,
      () => new AppError('ENGINE_UNAVAILABLE', 'the process ended before it answered'),
    );
  }

  async #register(hello: Hello, peer: Peer<ProxyMethods & EngineMethods, never>): Promise<Welcome> {
    const { store, fleet, gate, onHello, isOwnEngine } = this.#options;
    let place = { slot: 0, ownsSocket: false };
    const isOwn = hello.role === 'proxy' || isOwnEngine(hello.pid);
    if (hello.role === 'proxy') {
      place = fleet.join(hello.instanceId, peer, hello.former);
    } else if (isOwn) {
      const engine = peer as unknown as EnginePeer;
      this.#engine = engine;
      void engine.closed.then(() => {
        if (this.#engine === engine) this.#engine = undefined;
      });
    }
    onHello(hello);
    // One that outlived its supervisor has a route of its own, and serves.
    if (hello.role === 'proxy' && hello.former === undefined && (await store.get('route')) !== undefined)
      await gate.passed();
    return {
      ...place,
      isServed: gate.isOpen,
      isOwn,
      route: ((await store.get('route'))?.value ?? null) as RoutingRecord | null,
    };
  }

  #handlers(register: (hello: Hello) => Promise<Welcome>): Handlers<SupervisorMethods> {
    const { store, fleet, gate, onPublish, onHandOver } = this.#options;
    return {
      hello: register,
      handOver: onHandOver,
      routeChecked: () => gate.open(),
      proxyListens: ({ instanceId }) => fleet.onListening(instanceId),
      storeGet: async ({ key }) => (await store.get(key)) ?? null,
      storeList: ({ prefix }) => store.list(prefix),
      storeCompareAndSet: ({ key, expected, value }) => store.compareAndSet(key, expected, value),
      storeDelete: ({ key }) => store.delete(key),
      fleetWait: ({ epoch, state, timeoutMs }) => fleet.wait(epoch, state, timeoutMs),
      fleetPrepare: (request) => fleet.prepare(request),
      fleetBackends: async () => fleet.backends(),
      fleetReport: () => fleet.report(),
      fleetCloseSessions: (request) => fleet.closeSessions(request.sessionIds),
      locateSession: async (request) => fleet.locateSession(request),
      proxyAck: (ack) => fleet.acknowledge(ack),
      publish: (event) => onPublish(event),
    };
  }
}

async function answers(socketPath: string): Promise<boolean> {
  const socket = connect(socketPath);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.once('connect', () => resolve(true));
  socket.once('error', () => resolve(false));
  const answered = await promise;
  socket.destroy();
  return answered;
}
