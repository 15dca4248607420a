import type { SupervisorPeer } from '../core/control/client.ts';
import type {
  FleetBackends,
  FleetReport,
  FleetPrepareReport,
  PrepareRequest,
  ProxyState,
} from '../core/control/protocol.ts';
import type { StateStore, Versioned } from '../core/store/state-store.ts';

/** The state store behind the supervisor. */
export class RemoteStore implements StateStore {
  readonly #supervisor: SupervisorPeer;

  constructor(supervisor: SupervisorPeer) {
    this.#supervisor = supervisor;
  }

  async get(key: string): Promise<Versioned | undefined> {
    return (await this.#supervisor.call('storeGet', { key })) ?? undefined;
  }

  async list(prefix: string): Promise<Versioned[]> {
    return await this.#supervisor.call('storeList', { prefix });
  }

  async compareAndSet(key: string, expected: number | null, value: unknown): Promise<number> {
    return await this.#supervisor.call('storeCompareAndSet', { key, expected, value });
  }

  async delete(key: string): Promise<void> {
    await this.#supervisor.call('storeDelete', { key });
  }
}

/** All proxies, as the switch needs them. */
export interface ProxyFleet {
  wait(epoch: number, state: ProxyState, timeoutMs: number): Promise<FleetReport>;
  prepare(request: PrepareRequest): Promise<FleetPrepareReport>;
  /** Rejects when a proxy does not answer. */
  backends(): Promise<FleetBackends>;
  /** The last acknowledgement of each connected proxy. */
  report(): Promise<FleetReport>;
  /** Ends these sessions, with an error that says why where the client can be told. */
  closeSessions(sessionIds: string[]): Promise<void>;
}

export class RemoteFleet implements ProxyFleet {
  readonly #supervisor: SupervisorPeer;

  constructor(supervisor: SupervisorPeer) {
    this.#supervisor = supervisor;
  }

  async wait(epoch: number, state: ProxyState, timeoutMs: number): Promise<FleetReport> {
    return await this.#supervisor.call('fleetWait', { epoch, state, timeoutMs });
  }

  async prepare(request: PrepareRequest): Promise<FleetPrepareReport> {
    return await this.#supervisor.call('fleetPrepare', request);
  }

  async backends(): Promise<FleetBackends> {
    return await this.#supervisor.call('fleetBackends', undefined);
  }

  async report(): Promise<FleetReport> {
    return await this.#supervisor.call('fleetReport', undefined);
  }

  async closeSessions(sessionIds: string[]): Promise<void> {
    await this.#supervisor.call('fleetCloseSessions', { sessionIds });
  }
}
