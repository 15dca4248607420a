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
}

/** A run shorter than this counts as a crash at start and makes the next start wait longer. */
const STABLE_MS = 10_000;

/** Keeps one process of `main.ts` running until `signal` aborts; the process itself is ended by `end`. */
export class Child {
  readonly #options: ChildOptions;
  #process: ChildProcess | undefined;
  readonly ended: Promise<void>;

  constructor(options: ChildOptions) {
    this.#options = options;
    this.ended = this.#run(options);
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  kill(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** Resolves when it has ended by itself, or was killed `patienceMs` after it was told to; to be called with `signal` aborted. */
  async end(patienceMs: number): Promise<void> {
    this.kill('SIGTERM');
    const patience = setTimeout(() => {
      const { name, log } = this.#options;
      log.error({ child: name, pid: this.pid, patienceMs }, 'has not ended though it was told to: killed');
      this.kill('SIGKILL');
    }, patienceMs);
    await this.ended;
    clearTimeout(patience);
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
  }: ChildOptions): Promise<void> {
    const backoff = new Backoff({ initialMs: 100, maxMs: 5000 });
    while (!signal.aborted) {
      const startedAt = performance.now();
      try {
        const child = spawn(process.execPath, [...process.execArgv, ...nodeOptions, mainPath, ...args], {
          stdio: ['ignore', 'inherit', 'inherit'],
          env: { ...process.env, ...environment },
        });
        this.#process = child;
        // Rejects where there is no process: memory, descriptors or the program are missing at this moment.
        await once(child, 'spawn');
        // A signal that cannot be sent is told as an error, too, and says nothing of how the process does.
        child.on('error', ({ message }) => log.warn({ child: name, reason: message }, 'could not be sent a signal'));
        const { pid } = child;
        log.info({ child: name, pid }, 'started');
        if (scheduling === 'batch' && pid !== undefined) scheduleInBatches(pid, log);
        const end = await endOf(child);
        if (signal.aborted) return;
        log.error({ child: name, ...end }, 'ended unexpectedly, starting it again');
      } catch (error) {
        // Not the whole error: it carries the arguments, which may set a password.
        log.error({ child: name, reason: (error as Error).message }, 'could not be started, trying it again');
      } finally {
        this.#process = undefined;
      }
      if (performance.now() - startedAt > STABLE_MS) backoff.reset();
      await backoff.wait(signal).catch(() => {});
    }
  }
}

async function endOf(child: ChildProcess): Promise<{ code: number | null; killedBy: NodeJS.Signals | null }> {
  const { promise, resolve } = Promise.withResolvers<{ code: number | null; killedBy: NodeJS.Signals | null }>();
  child.once('exit', (code, killedBy) => resolve({ code, killedBy }));
  return await promise;
}
