import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Logger } from 'pino';
import { Backoff } from '../core/backoff.ts';
import { scheduleInBatches } from './scheduling.ts';

export interface ChildOptions {
  name: string;
  /** Arguments after the path of main.ts. */
  arguments: string[];
  mainPath: string;
  environment?: NodeJS.ProcessEnv;
  nodeOptions?: string[];
  scheduling?: 'batch' | 'normal';
  signal: AbortSignal;
  log: Logger;
  /** Asked before each start after the first; false ends the slot. */
  restart?: () => boolean;
}

/** A run shorter than this counts as a crash at start and makes the next start wait longer. */
const STABLE_MS = 10_000;

/** Keeps one process of `main.ts` running until `signal` aborts; the process itself is stopped by `stopChild`. */
export class Child {
  #process: ChildProcess | undefined;
  readonly ended: Promise<void>;

  constructor(options: ChildOptions) {
    this.ended = this.#run(options);
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  kill(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** This process may end and leave it behind; to be called with `signal` aborted. */
  leave(): void {
    this.#process?.unref();
  }

  async #run({
    name,
    arguments: args,
    mainPath,
    environment = {},
    nodeOptions = [],
    scheduling = 'normal',
    signal,
    log,
    restart,
  }: ChildOptions): Promise<void> {
    const backoff = new Backoff({ initialMs: 100, maxMs: 5000 });
    while (!signal.aborted) {
      const startedAt = performance.now();
      const child = spawn(process.execPath, [...process.execArgv, ...nodeOptions, mainPath, ...args], {
        stdio: ['ignore', 'inherit', 'inherit'],
        env: { ...process.env, ...environment },
      });
      this.#process = child;
      log.info({ child: name, pid: child.pid }, 'started');
      if (scheduling === 'batch' && child.pid !== undefined) scheduleInBatches(child.pid, log);
      const [code, killedBy] = (await once(child, 'exit')) as [number | null, string | null];
      this.#process = undefined;
      if (signal.aborted || restart?.() === false) return;
      log.error({ child: name, code, killedBy }, 'ended unexpectedly, starting it again');
      if (performance.now() - startedAt > STABLE_MS) backoff.reset();
      await backoff.wait(signal).catch(() => {});
    }
  }
}
