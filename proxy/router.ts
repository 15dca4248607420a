import { abortable } from '../core/abort.ts';
import type { Side } from '../core/phase.ts';
import { systemClock, type Clock } from '../core/clock.ts';
import {
  endpointOfSide,
  keepsStill,
  mayReleaseItself,
  sideOf,
  ROLES,
  type Role,
  type RoutingRecord,
} from '../core/routing-record.ts';
import type { Destination } from './backend-connection.ts';

/** What the configuration says about the servers of a side. */
export type SideSettings = Pick<Destination, 'clientCertificate' | 'wantsProxyHeader'>;

/** What rules the sessions of a role now. */
export interface RoleRoute {
  destination: Destination | null;
  held: boolean;
}

const NO_ROUTE: RoleRoute = { destination: null, held: false };

/**
 * The routing record as this worker follows it. It changes only by records with a higher epoch; the one decision of
 * our own is to end a hold whose deadline passed, and that only while the record does not say `fenced` (I6).
 */
export class Router {
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #settings: Record<Side, SideSettings> = { source: {}, target: {} };
  #record: RoutingRecord | null = null;
  #routes: Record<Role, RoleRoute> = { primary: NO_ROUTE, replica: NO_ROUTE };
  #releasedEpoch = -1;
  #deadlineTimer: NodeJS.Timeout | undefined;
  readonly #waiting = new Set<() => void>();

  constructor({ clock = systemClock, onChange }: { clock?: Clock; onChange: () => void }) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  get record(): RoutingRecord | null {
    return this.#record;
  }

  get epoch(): number {
    return this.#record?.epoch ?? -1;
  }

  /** True when this worker ended the hold of the current epoch by itself. */
  get releasedByDeadline(): boolean {
    return this.#releasedEpoch === this.epoch;
  }

  /** For connections from now on. */
  configure(settings: Record<Side, SideSettings>): void {
    this.#settings = settings;
    this.#update();
  }

  /** Where `role` would go on `side`; null without a route. */
  destinationOn(side: Side, role: Role): Destination | null {
    return this.#record === null ? null : this.#destinationOf(this.#record, side, role);
  }

  route(role: Role): RoleRoute {
    return this.#routes[role];
  }

  heldRoles(): Role[] {
    return ROLES.filter((role) => this.#routes[role].held);
  }

  /** False when the record is older than the one that rules already. */
  apply(record: RoutingRecord): boolean {
    if (record.epoch < this.epoch) return false;
    this.#record = record;
    this.#update();
    return true;
  }

  /** Resolves with where `role` goes, once it is not held; null when there is no route. Rejects when `signal` aborts. */
  async destination(role: Role, signal?: AbortSignal): Promise<Destination | null> {
    while (this.#routes[role].held) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.add(resolve);
      // A hold may be long, and many give up in it.
      await (signal === undefined ? promise : abortable(promise, signal)).finally(() => this.#waiting.delete(resolve));
    }
    return this.#routes[role].destination;
  }

  close(): void {
    clearTimeout(this.#deadlineTimer);
  }

  #destinationOf(record: RoutingRecord, side: Side, role: Role): Destination {
    return { side, endpoint: endpointOfSide(record, side, role), ...this.#settings[side] };
  }

  #update(): void {
    const record = this.#record;
    if (record === null) return;
    for (const role of ROLES) {
      const destination = this.#destinationOf(record, sideOf(record, role), role);
      this.#routes[role] = { destination, held: keepsStill(record, role, this.#releasedEpoch) };
    }
    this.#armDeadline(record);
    this.#onChange();
    if (this.heldRoles().length < ROLES.length) for (const wake of this.#waiting) wake();
  }

  #armDeadline(armed: RoutingRecord): void {
    clearTimeout(this.#deadlineTimer);
    if (!mayReleaseItself(armed, this.#releasedEpoch)) return;
    const release = () => {
      if (this.#record !== armed) return;
      this.#releasedEpoch = armed.epoch;
      this.#update();
    };
    this.#deadlineTimer = setTimeout(release, Math.max(0, (armed.deadlineMs ?? 0) - this.#clock.nowMs()));
  }
}
