import { abortable } from '../core/abort.ts';
import type { Peer } from '../core/control/peer.ts';
import type {
  FleetBackends,
  FleetReport,
  Hello,
  FleetPrepareReport,
  LocateRequest,
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
  ownsSocket: boolean;
  listens: boolean;
}

const LOCATE_TIMEOUT_MS = 2000;
const PREPARE_GRACE_MS = 10_000;
/** A proxy that was stopped must not keep a switch from being undone. */
const CLOSE_TIMEOUT_MS = 2000;

/** The connected proxies and the last state that each acknowledged. */
export class Fleet {
  readonly #members = new Map<string, Member>();
  /** Proxies that are to end once others listen in their place; also of some that have not joined yet. */
  readonly #retired = new Set<string>();
  #changed = Promise.withResolvers<void>();

  /** The member leaves when its socket closes: whoever waits then waits for the others only. */
  join(instanceId: string, peer: ProxyPeer, former?: Hello['former']): Pick<Member, 'slot' | 'ownsSocket'> {
    const ack = { instanceId, epoch: -1, state: 'applied' as const, sessions: 0, undrained: [] };
    const { slot, ownsSocket, listens } = former ?? {
      slot: this.#freeSlot(),
      ownsSocket: !this.#isSocketOwned(),
      listens: false,
    };
    const member = { peer, ack, slot, ownsSocket, listens };
    this.#members.set(instanceId, member);
    this.#notify();
    void peer.closed.then(() => {
      if (this.#members.get(instanceId) === member) this.#members.delete(instanceId);
      this.#notify();
    });
    return { slot, ownsSocket };
  }

  onListening(instanceId: string): void {
    const member = this.#members.get(instanceId);
    if (member === undefined) return;
    member.listens = true;
    this.#notify();
  }

  /** Others take the place of these. */
  retire(instanceIds: Iterable<string>): void {
    for (const id of instanceIds) this.#retired.add(id);
  }

  async locateSession(request: LocateRequest): Promise<SessionLocation | null> {
    const signal = AbortSignal.timeout(LOCATE_TIMEOUT_MS);
    const answers = await Promise.allSettled(
      this.peers().map((peer) => peer.call('locateSession', request, { signal })),
    );
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? (answer.value ?? []) : []))[0] ?? null;
  }

  /** How many accept clients and are to stay. */
  get listening(): number {
    return this.#staying().filter(([, { listens }]) => listens).length;
  }

  /** Those that are to stay. */
  staying(): ProxyPeer[] {
    return this.#staying().map(([, { peer }]) => peer);
  }

  retired(): ProxyPeer[] {
    return [...this.#members].filter(([id]) => this.#retired.has(id)).map(([, { peer }]) => peer);
  }

  /** Resolves when `condition` holds; asked after every change of who is there and what they do. Rejects when `signal` aborts. */
  async until(condition: () => boolean, signal: AbortSignal): Promise<void> {
    while (!condition()) await abortable(this.#changed.promise, signal);
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

  async prepare(request: PrepareRequest): Promise<FleetPrepareReport> {
    // They keep the time themselves; a login that is under way then has its own limit.
    const signal = AbortSignal.timeout(request.budgetMs + PREPARE_GRACE_MS);
    const answers = await Promise.allSettled(this.peers().map((peer) => peer.call('prepare', request, { signal })));
    const reports = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    return {
      prepared: reports.reduce((sum, { prepared }) => sum + prepared, 0),
      failures: reports.flatMap(({ failures }) => failures),
      pinned: reports.flatMap(({ pinned }) => pinned),
      left: reports.reduce((sum, { left }) => sum + left, 0),
      unanswered: answers.length - reports.length,
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

  /** Rejects when a proxy does not answer in time. */
  async closeSessions(sessionIds: string[]): Promise<void> {
    const signal = AbortSignal.timeout(CLOSE_TIMEOUT_MS);
    await Promise.all(this.peers().map((peer) => peer.call('closeSessions', { sessionIds }, { signal })));
  }

  /** Rejects with the first proxy's reason when one of them cannot. */
  async reload(): Promise<void> {
    await Promise.all(this.peers().map((peer) => peer.call('reload', undefined)));
  }

  /** Those of a proxy that does not answer are left out. */
  async sessions(timeoutMs = 2000): Promise<SessionView[]> {
    const signal = AbortSignal.timeout(timeoutMs);
    const lists = await Promise.allSettled(this.peers().map((peer) => peer.call('sessions', undefined, { signal })));
    return lists.flatMap((list) => (list.status === 'fulfilled' ? list.value : []));
  }

  #staying(): [string, Member][] {
    return [...this.#members].filter(([id]) => !this.#retired.has(id));
  }

  #isSocketOwned(): boolean {
    return this.#staying().some(([, { ownsSocket }]) => ownsSocket);
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
