import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { ENGINE_NODE_OPTIONS } from '../engine/engine-memory.ts';
import { Child, type ChildOptions } from './child.ts';
import type { ProxyPeer } from './fleet.ts';

export interface ChildrenOptions {
  mainPath: string;
  configArguments: string[];
  workerScheduling: 'batch' | 'normal';
  log: Logger;
}

/**
 * A switch has settled by then. What hangs still (a machine without memory, a frozen process) would keep the supervisor, and the
 * one that takes over from it, for ever; and the engine is made to be killed at any step. Within the 30 s that a container gets.
 */
const ENGINE_PATIENCE_MS = 25_000;
export const DRAIN_GRACE_MS = 5000;

/** The processes that a supervisor started, each started again when it ends by itself. */
export class Children {
  readonly #options: ChildrenOptions;
  readonly #stop = new AbortController();
  readonly #workers: Child[] = [];
  #engine: Child | undefined;

  constructor(options: ChildrenOptions) {
    this.#options = options;
  }

  startWorker(): void {
    const { workerScheduling: scheduling } = this.#options;
    const name = `proxy-${this.#workers.length}`;
    this.#workers.push(this.#start(name, ['run-proxy', '--instance', `proxy-${randomUUID()}`], { scheduling }));
  }

  startEngine(): void {
    this.#engine = this.#start('engine', ['run-engine'], { nodeOptions: ENGINE_NODE_OPTIONS });
  }

  isOwnEngine(pid: number): boolean {
    return this.#engine?.pid === pid;
  }

  /** A proxy of a former supervisor has no parent that would start it again: its place is taken when it leaves. */
  adopt(peer: ProxyPeer): void {
    void peer.closed.then(() => {
      if (!this.#stop.signal.aborted) this.startWorker();
    });
  }

  /** Nothing is started again from now on. */
  async endEngine(): Promise<void> {
    this.#stop.abort();
    await this.#engine?.end(ENGINE_PATIENCE_MS);
  }

  /** Those that were told to drain are done with it; one that could not be told drains now. */
  async endWorkers(drainTimeoutMs: number): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.end(drainTimeoutMs + DRAIN_GRACE_MS)));
  }

  /** Told to end, and not waited for. */
  dismissWorkers(): void {
    this.#stop.abort();
    for (const worker of this.#workers.splice(0)) worker.kill('SIGTERM');
  }

  /** Goes on without this process. */
  leaveWorkers(): void {
    for (const worker of this.#workers.splice(0)) worker.leave();
  }

  #start(name: string, command: string[], own: Pick<ChildOptions, 'nodeOptions' | 'scheduling'>): Child {
    const { mainPath, configArguments, log } = this.#options;
    const args = [...command, ...configArguments];
    return new Child({ name, arguments: args, mainPath, ...own, signal: this.#stop.signal, log });
  }
}
