import { fork, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import type { FromReplication, ReplicationTask, ToReplication } from './messages.ts';

type Reached = Extract<FromReplication, { kind: 'reached' }>;

/** Drives `replication-main.ts`. SWITCHYARD_BENCH_NODE_OPTIONS (`--cpu-prof …`) are node's own for that process. */
export class ReplicationProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<FromReplication['kind'], (message: FromReplication) => void>();
  #failed: (error: Error) => void = () => {};

  static async start(task: ReplicationTask): Promise<ReplicationProcess> {
    const started = new ReplicationProcess(task);
    await started.#next('ready');
    return started;
  }

  private constructor(task: ReplicationTask) {
    const options = process.env['SWITCHYARD_BENCH_NODE_OPTIONS'];
    this.#child = fork(path.join(import.meta.dirname, 'replication-main.ts'), {
      execArgv: options === undefined ? [] : options.split(' '),
      env: { ...process.env, REPLICATION_TASK: JSON.stringify(task) },
    });
    this.#child.on('message', (message: FromReplication) => {
      if (message.kind === 'failed') this.#failed(new Error(message.message));
      else this.#waiting.get(message.kind)?.(message);
    });
    this.#child.on('exit', (code) => this.#failed(new Error(`the replication process ended with ${code}`)));
  }

  begin(): void {
    this.#tell({ kind: 'start' });
  }

  async waitFor(position: string): Promise<Reached> {
    const reached = this.#next('reached');
    this.#tell({ kind: 'waitFor', position });
    return (await reached) as Reached;
  }

  async stop(): Promise<void> {
    const stopped = this.#next('stopped');
    this.#tell({ kind: 'stop' });
    await stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#child.once('exit', () => resolve());
    if (this.#child.connected) this.#child.disconnect();
    await promise;
  }

  #tell(message: ToReplication): void {
    this.#child.send(message);
  }

  async #next(kind: FromReplication['kind']): Promise<FromReplication> {
    const { promise, resolve, reject } = Promise.withResolvers<FromReplication>();
    this.#waiting.set(kind, resolve);
    this.#failed = reject;
    return await promise;
  }
}
