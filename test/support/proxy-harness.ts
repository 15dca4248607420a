import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { configSchema } from '../../config/schema.ts';
import { AppError } from '../../core/errors.ts';
import { Peer, type Handlers } from '../../core/control/peer.ts';
import type {
  LocateRequest,
  PrepareReport,
  ProxyAck,
  ProxyMethods,
  SessionLocation,
  SessionView,
  SupervisorMethods,
} from '../../core/control/protocol.ts';
import { routingRecordSchema, type Role, type RoutingRecord } from '../../core/routing-record.ts';
import type { Side } from '../../core/phase.ts';
import { runProxyWorker } from '../../proxy/worker.ts';

interface ServerAddress {
  host: string;
  port: number;
}

export interface ProxyHarnessOptions {
  source: ServerAddress;
  target: ServerAddress;
  /** Overrides of the `proxy` block. */
  proxy?: Record<string, unknown>;
  tlsMode?: 'disabled' | 'preferred';
  /** False: no import yet, the proxy gets no route. */
  hasRoute?: boolean;
  /** Among the workers of the supervisor that the harnesses stand for; else one of its own. */
  slot?: number;
}

/** A proxy worker in this process and a supervisor that is only a socket: the test decides every epoch. */
export class ProxyHarness implements AsyncDisposable {
  /** Harnesses of one process stand for the workers of one supervisor. */
  static readonly #all = new Set<ProxyHarness>();
  static #slots = 0;
  #slot = ProxyHarness.#slots++;
  readonly #folder: string;
  readonly #control: Server;
  readonly #abort = new AbortController();
  readonly #acks: ProxyAck[] = [];
  readonly #sockets = new Set<Socket>();
  #record: RoutingRecord | null;
  #changed = Promise.withResolvers<void>();
  #peer: Peer<ProxyMethods, never> | undefined;
  #running: Promise<void> = Promise.resolve();
  port = 0;
  replicaPort = 0;

  private constructor(folder: string, record: RoutingRecord | null) {
    this.#folder = folder;
    this.#record = record;
    this.#control = createServer((socket) => this.#accept(socket));
  }

  static async start({
    source,
    target,
    proxy = {},
    tlsMode = 'preferred',
    hasRoute = true,
    slot,
  }: ProxyHarnessOptions): Promise<ProxyHarness> {
    const endpoint = (address: ServerAddress) => ({ host: address.host, port: address.port, tls: { mode: tlsMode } });
    const record = routingRecordSchema.parse({
      epoch: 1,
      importId: 'test',
      database: 'app',
      primary: 'source',
      replica: 'source',
      hold: 'none',
      deadlineMs: null,
      fenced: false,
      endpoints: {
        source: { primary: endpoint(source), replica: null },
        target: { primary: endpoint(target), replica: null },
      },
    });
    const folder = await mkdtemp(join(tmpdir(), 'switchyard-proxy-'));
    const harness = new ProxyHarness(folder, hasRoute ? record : null);
    if (slot !== undefined) harness.#slot = slot;
    const controlSocketPath = join(folder, 'control.sock');
    harness.#control.listen(controlSocketPath);
    await once(harness.#control, 'listening');
    const { promise: listening, resolve } = Promise.withResolvers<void>();
    const config = configSchema.parse({
      dataDir: folder,
      proxy: { listen: '127.0.0.1:0', replicaListen: '127.0.0.1:0', ...proxy },
      log: { level: process.env['SWITCHYARD_TEST_LOG'] ?? 'error' },
    });
    harness.#running = runProxyWorker({
      config,
      dataDir: folder,
      controlSocketPath,
      instanceId: 'proxy-test',
      signal: harness.#abort.signal,
      onListening: ({ primary, replica }) => {
        harness.port = primary;
        harness.replicaPort = replica ?? 0;
        resolve();
      },
    });
    await Promise.race([listening, harness.#running]);
    if (hasRoute) await harness.acknowledged(1);
    ProxyHarness.#all.add(harness);
    return harness;
  }

  get record(): RoutingRecord {
    if (this.#record === null) throw new Error('the harness has no route');
    return this.#record;
  }

  /** Pushes the next epoch and returns it. */
  push(changes: Partial<Omit<RoutingRecord, 'epoch'>>): number {
    this.#record = { ...this.record, ...changes, epoch: this.record.epoch + 1 };
    this.#peer?.notify('route', { record: this.#record });
    return this.#record.epoch;
  }

  /** Resolves with the acknowledgement of `epoch` in `state`. */
  async acknowledged(epoch: number, state: 'applied' | 'drained' = 'applied'): Promise<ProxyAck> {
    for (;;) {
      const found = this.#acks.find((ack) => ack.epoch === epoch && (state === 'applied' || ack.state === 'drained'));
      if (found !== undefined) return found;
      await this.#changed.promise;
    }
  }

  acks(epoch: number): ProxyAck[] {
    return this.#acks.filter((ack) => ack.epoch === epoch);
  }

  /** Resolves when `matches` holds for an acknowledgement of `epoch`. */
  async acknowledgedWhere(epoch: number, matches: (ack: ProxyAck) => boolean): Promise<ProxyAck> {
    for (;;) {
      const found = this.acks(epoch).find(matches);
      if (found !== undefined) return found;
      await this.#changed.promise;
    }
  }

  /** The whole switch without an engine: hold, drained, fenced, other side. Returns how long the hold was. */
  async switchTo(
    side: Side,
    { prepare = true, deadlineMs = 10_000 }: { prepare?: boolean; deadlineMs?: number } = {},
  ): Promise<number> {
    if (prepare) await this.prepare('primary', side);
    const startedAt = performance.now();
    await this.acknowledged(
      this.push({ hold: 'primary', fenced: false, deadlineMs: Date.now() + deadlineMs }),
      'drained',
    );
    await this.acknowledged(this.push({ fenced: true }), 'drained');
    this.push({ hold: 'none', fenced: false, deadlineMs: null, primary: side });
    return performance.now() - startedAt;
  }

  /** The same for replica traffic; resolves when every session of it is where it is to be. */
  async switchReplicasTo(side: Side): Promise<void> {
    await this.acknowledged(this.push({ hold: 'replica', deadlineMs: Date.now() + 60_000 }), 'drained');
    await this.acknowledged(this.push({ hold: 'none', deadlineMs: null, replica: side }));
  }

  async prepare(role: Role, to: Side, budgetMs = 30_000): Promise<PrepareReport> {
    return this.#connected().call('prepare', { role, to, budgetMs });
  }

  async sessions(): Promise<SessionView[]> {
    return this.#connected().call('sessions', undefined);
  }

  async metrics(): Promise<string> {
    return (await this.#connected().call('collectMetrics', undefined)).text;
  }

  async reload(): Promise<void> {
    await this.#connected().call('reload', undefined);
  }

  async drain(timeoutMs: number): Promise<void> {
    await this.#connected().call('drain', { timeoutMs });
  }

  /** The supervisor dies and does not come back. */
  loseSupervisor(): void {
    this.#control.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Resolves when the worker ended by itself. */
  get ended(): Promise<void> {
    return this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    ProxyHarness.#all.delete(this);
    this.#abort.abort();
    await this.#running;
    this.loseSupervisor();
    await rm(this.#folder, { recursive: true, force: true });
  }

  static async #locate(request: LocateRequest): Promise<SessionLocation | null> {
    const answers = await Promise.all(
      [...this.#all].map(async (harness) => harness.#connected().call('locateSession', request)),
    );
    return answers.find((location) => location !== null) ?? null;
  }

  #connected(): Peer<ProxyMethods, never> {
    if (this.#peer === undefined) throw new Error('the worker is not connected');
    return this.#peer;
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    const handlers: Pick<Handlers<SupervisorMethods>, 'hello' | 'proxyAck' | 'locateSession'> = {
      hello: () => ({
        isServed: true,
        isOwn: true,
        route: this.#record,
        slot: this.#slot,
        ownsSocket: this.#slot === 0,
      }),
      locateSession: async (request) => ProxyHarness.#locate(request),
      proxyAck: (ack) => {
        this.#acks.push(ack);
        this.#changed.resolve();
        this.#changed = Promise.withResolvers();
      },
    };
    this.#peer = new Peer<ProxyMethods, never>(
      socket,
      handlers as unknown as Handlers<never>,
      () => new AppError('INTERNAL', 'the worker is gone'),
    );
  }
}
