import { isAbort } from '../core/abort.ts';
import type { SupervisorPeer } from '../core/control/client.ts';
import type {
  FleetBackends,
  FleetReport,
  PrepareReport,
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
  prepare(request: PrepareRequest): Promise<PrepareReport>;
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

  /** A fleet that cannot prepare within the time is a report without anything prepared, not a failure of the switch. */
  async prepare(request: PrepareRequest): Promise<PrepareReport> {
    try {
      return await this.#supervisor.call('fleetPrepare', request, { signal: AbortSignal.timeout(15_000) });
    } catch (error) {
      if (!isAbort(error) && !(error instanceof DOMException)) throw error;
      return { prepared: 0, failures: [], pinned: [] };
    }
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
