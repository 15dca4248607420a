import type { Peer } from '../core/control/peer.ts';
import type {
  FleetBackends,
  FleetReport,
  PrepareReport,
  PrepareRequest,
  ProxyAck,
  ProxyMethods,
  ProxyState,
  SessionLocation,
  SessionView,
} from '../core/control/protocol.ts';
import type { RoutingRecord } from '../core/routing-record.ts';

export type ProxyPeer = Peer<ProxyMethods, never>;

interface Member {
  peer: ProxyPeer;
  ack: ProxyAck;
  slot: number;
}

const LOCATE_TIMEOUT_MS = 2000;

/** The connected proxies and the last state that each acknowledged. */
export class Fleet {
  readonly #members = new Map<string, Member>();
  #changed = Promise.withResolvers<void>();

  /** The member leaves when its socket closes: whoever waits then waits for the others only. */
  join(instanceId: string, peer: ProxyPeer, slot = this.#freeSlot()): void {
    const ack = { instanceId, epoch: -1, state: 'applied' as const, sessions: 0, undrained: [] };
    const member = { peer, ack, slot };
    this.#members.set(instanceId, member);
    void peer.closed.then(() => {
      if (this.#members.get(instanceId) === member) this.#members.delete(instanceId);
      this.#notify();
    });
  }

  /** A number that no other proxy here has. */
  slotOf(instanceId: string): number {
    return this.#members.get(instanceId)?.slot ?? 0;
  }

  async locateSession(id: number): Promise<SessionLocation | null> {
    const signal = AbortSignal.timeout(LOCATE_TIMEOUT_MS);
    const answers = await Promise.allSettled(
      this.peers().map((peer) => peer.call('locateSession', { id }, { signal })),
    );
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? (answer.value ?? []) : []))[0] ?? null;
  }

  get size(): number {
    return this.#members.size;
  }

  peers(): ProxyPeer[] {
    return [...this.#members.values()].map(({ peer }) => peer);
  }

  members(): { instanceId: string; peer: ProxyPeer }[] {
    return [...this.#members].map(([instanceId, { peer }]) => ({ instanceId, peer }));
  }

  push(record: RoutingRecord): void {
    for (const peer of this.peers()) peer.notify('route', { record });
  }

  acknowledge(ack: ProxyAck): void {
    const member = this.#members.get(ack.instanceId);
    if (member === undefined || ack.epoch < member.ack.epoch) return;
    member.ack = ack;
    this.#notify();
  }

  report(): FleetReport {
    return { reached: true, proxies: [...this.#members.values()].map(({ ack }) => ack) };
  }

  /** Resolves when every connected proxy reached `state` of `epoch`, or after `timeoutMs`. */
  async wait(epoch: number, state: ProxyState, timeoutMs: number): Promise<FleetReport> {
    const timedOut = AbortSignal.timeout(timeoutMs);
    const expired = new Promise<void>((resolve) => timedOut.addEventListener('abort', () => resolve(), { once: true }));
    for (;;) {
      const report = this.report();
      const reached = report.proxies.every((ack) => hasReached(ack, epoch, state));
      if (reached || timedOut.aborted) return { ...report, reached };
      await Promise.race([this.#changed.promise, expired]);
    }
  }

  async prepare(request: PrepareRequest): Promise<PrepareReport> {
    const reports = await Promise.all(this.peers().map((peer) => peer.call('prepare', request)));
    return {
      prepared: reports.reduce((sum, { prepared }) => sum + prepared, 0),
      failures: reports.flatMap(({ failures }) => failures),
      pinned: reports.flatMap(({ pinned }) => pinned),
    };
  }

  /** Rejects when a proxy does not answer within `timeoutMs`. */
  async backends(timeoutMs = 5000): Promise<FleetBackends> {
    const signal = AbortSignal.timeout(timeoutMs);
    const ask = async (peer: ProxyPeer) =>
      await Promise.all([
        peer.call('backendConnections', undefined, { signal }),
        peer.call('sessions', undefined, { signal }),
      ]);
    const answers = await Promise.all(this.peers().map(ask));
    return {
      backends: answers.flatMap(([backends]) => backends),
      sessions: answers.flatMap(([, sessions]) => sessions),
    };
  }

  async closeSessions(sessionIds: string[]): Promise<void> {
    await Promise.all(this.peers().map((peer) => peer.call('closeSessions', { sessionIds })));
  }

  /** Rejects with the first proxy's reason when one of them cannot. */
  async reload(): Promise<void> {
    await Promise.all(this.peers().map((peer) => peer.call('reload', undefined)));
  }

  async sessions(): Promise<SessionView[]> {
    const lists = await Promise.allSettled(this.peers().map((peer) => peer.call('sessions', undefined)));
    return lists.flatMap((list) => (list.status === 'fulfilled' ? list.value : []));
  }

  #freeSlot(): number {
    const taken = new Set([...this.#members.values()].map(({ slot }) => slot));
    let slot = 0;
    while (taken.has(slot)) slot += 1;
    return slot;
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}

function hasReached(ack: ProxyAck, epoch: number, state: ProxyState): boolean {
  if (ack.epoch !== epoch) return ack.epoch > epoch;
  return state === 'applied' || ack.state === 'drained';
}
