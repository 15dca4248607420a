import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { ROLES, type Role } from '../core/routing-record.ts';
import type { RefusalReason } from './client-error.ts';

/** What the workers count. One registry per worker: the supervisor adds the workers up. */
export class ProxyMetrics {
  readonly registry = new Registry();
  readonly #registers = [this.registry];
  readonly sessions = new Gauge({
    name: 'switchyard_proxy_sessions',
    help: 'Client sessions by role and by the side that serves them',
    labelNames: ['role', 'side'],
    registers: this.#registers,
  });
  readonly held = new Gauge({
    name: 'switchyard_proxy_held_sessions',
    help: 'Sessions with a command that waits for the end of a hold',
    registers: this.#registers,
  });
  readonly commands = new Counter({
    name: 'switchyard_proxy_commands_total',
    help: 'Commands passed to a database server',
    labelNames: ['role'],
    registers: this.#registers,
  });
  readonly bytes = new Counter({
    name: 'switchyard_proxy_bytes_total',
    help: 'Bytes received, by whom they came from',
    labelNames: ['from'],
    registers: this.#registers,
  });
  readonly logins = new Counter({
    name: 'switchyard_proxy_logins_total',
    help: 'Logins by outcome',
    labelNames: ['outcome'],
    registers: this.#registers,
  });
  readonly refusals = new Counter({
    name: 'switchyard_proxy_refusals_total',
    help: 'Clients that were not let in, or put out, and commands that were refused, by reason',
    labelNames: ['reason'],
    registers: this.#registers,
  });
  readonly holds = new Counter({
    name: 'switchyard_proxy_holds_total',
    help: 'Holds begun',
    registers: this.#registers,
  });
  readonly deadlineReleases = new Counter({
    name: 'switchyard_proxy_deadline_releases_total',
    help: 'Holds that this worker ended by itself because their deadline passed before the fence',
    registers: this.#registers,
  });
  readonly moves = new Counter({
    name: 'switchyard_proxy_moves_total',
    help: 'Sessions carried over to another server, by outcome',
    labelNames: ['outcome'],
    registers: this.#registers,
  });
  readonly failedMoves = new Counter({
    name: 'switchyard_proxy_failed_moves_total',
    help: 'Sessions that could not be carried over and were ended, by reason; the log names each',
    labelNames: ['reason'],
    registers: this.#registers,
  });
  readonly holdSeconds = new Histogram({
    name: 'switchyard_proxy_hold_seconds',
    help: 'How long a held command waited',
    buckets: [0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2, 5, 10, 30],
    registers: this.#registers,
  });

  /** Counted in plain numbers on the way of each chunk and handed over when somebody looks. */
  #clientBytes = 0;
  #serverBytes = 0;
  #commands: Record<Role, number> = { primary: 0, replica: 0 };

  onBytes(from: 'client' | 'server', count: number): void {
    if (from === 'client') this.#clientBytes += count;
    else this.#serverBytes += count;
  }

  onRefused(reason: RefusalReason): void {
    this.refusals.inc({ reason });
  }

  onCommand(role: Role): void {
    this.#commands[role] += 1;
  }

  async text(): Promise<string> {
    this.bytes.inc({ from: 'client' }, this.#clientBytes);
    this.bytes.inc({ from: 'server' }, this.#serverBytes);
    this.#clientBytes = 0;
    this.#serverBytes = 0;
    for (const role of ROLES) {
      this.commands.inc({ role }, this.#commands[role]);
      this.#commands[role] = 0;
    }
    return this.registry.metrics();
  }
}
