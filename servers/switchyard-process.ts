import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, openSync, closeSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AdminClient } from '../admin/client.ts';
import { AppError } from '../core/errors.ts';
import type { Failpoint } from '../core/failpoint.ts';
import { freePort } from './free-port.ts';
import { startWatchdog } from './watchdog.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const READY_MS = 30_000;

export interface SwitchyardOptions {
  /** `key=value` of the configuration, beside the addresses and the data directory. */
  settings?: string[];
  environment?: NodeJS.ProcessEnv;
  /** Where it is stopped or killed until it is started again (core/failpoint.ts); the files are in the data directory. */
  failpoints?: Partial<Record<Failpoint, `${'kill' | 'wait'}:${string}`>>;
}

/** A real `switchyard serve` with its own data directory and free ports; disposing ends it and removes the directory. */
export class SwitchyardProcess implements AsyncDisposable {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'switchyard-'));
  readonly logFile = join(this.dataDir, 'serve.log');
  readonly host = '127.0.0.1';
  readonly primaryPort: number;
  readonly replicaPort: number;
  readonly adminUrl: string;
  readonly client: AdminClient;
  readonly #options: SwitchyardOptions;
  readonly #watchdog = startWatchdog(this.dataDir);
  #process: ChildProcess | undefined;
  /** Each ends with its proxies, which others have replaced. */
  readonly #former: ChildProcess[] = [];
  /** Proxies that have outlived their supervisor. */
  readonly #left: number[] = [];

  private constructor(ports: { primary: number; replica: number; admin: number }, options: SwitchyardOptions) {
    this.primaryPort = ports.primary;
    this.replicaPort = ports.replica;
    this.adminUrl = `http://127.0.0.1:${ports.admin}`;
    this.client = new AdminClient({ url: this.adminUrl, actor: 'test' });
    this.#options = options;
  }

  static async start(options: SwitchyardOptions = {}): Promise<SwitchyardProcess> {
    const ports = { primary: await freePort(), replica: await freePort(), admin: await freePort() };
    const switchyard = new SwitchyardProcess(ports, options);
    await switchyard.startProcess({ environment: switchyard.#armed(options.failpoints ?? {}) });
    return switchyard;
  }

  /** Starts the supervisor (again); resolves when engine and proxies are ready. */
  async startProcess(options: Pick<SwitchyardOptions, 'environment'> = {}): Promise<void> {
    await this.#serve([], options);
  }

  /**
   * Another supervisor takes over; resolves when the one that ran so far has ended and the new one is ready. Rejects with
   * OPERATION_IN_PROGRESS where the one that runs does not hand over, and goes on.
   */
  async replace(): Promise<void> {
    const former = this.#process;
    const since = this.log().length;
    if (former !== undefined) this.#former.push(former);
    await this.#serve(['--replace']).catch((error: unknown) => {
      if (former?.exitCode !== null || !this.log().slice(since).includes('OPERATION_IN_PROGRESS')) throw error;
      this.#process = this.#former.pop();
      throw new AppError('OPERATION_IN_PROGRESS', 'the supervisor that runs does not hand over', { cause: error });
    });
    if (former !== undefined && former.exitCode === null) await once(former, 'exit');
    if (former?.exitCode !== 0)
      throw new AppError('SERVER_NOT_STARTED', `the former supervisor ended with ${former?.exitCode}`);
  }

  async #serve(flags: string[], { environment = {} }: Pick<SwitchyardOptions, 'environment'> = {}): Promise<void> {
    const settings = [
      `dataDir=${this.dataDir}`,
      `proxy.listen=127.0.0.1:${this.primaryPort}`,
      `proxy.replicaListen=127.0.0.1:${this.replicaPort}`,
      `admin.listen=${this.adminUrl.slice('http://'.length)}`,
      ...(this.#options.settings ?? []),
    ];
    const log = openSync(this.logFile, 'a');
    const child = spawn(
      process.execPath,
      [MAIN, 'serve', ...flags, ...settings.flatMap((setting) => ['--set', setting])],
      {
        stdio: ['ignore', log, log],
        env: { ...process.env, ...this.#options.environment, ...environment },
        // A group of its own: the watchdog and `killAll` end the supervisor with all its children.
        detached: true,
      },
    );
    closeSync(log);
    this.#process = child;
    this.#watchdog.watch(child.pid === undefined ? null : -child.pid);
    await this.#ready(child);
  }

  #armed(failpoints: NonNullable<SwitchyardOptions['failpoints']>): NodeJS.ProcessEnv {
    const pairs = Object.entries(failpoints).map(([name, action]) => {
      const [what, file = ''] = action.split(':');
      return `${name}=${what}:${join(this.dataDir, file)}`;
    });
    return pairs.length === 0 ? {} : { SWITCHYARD_FAILPOINTS: pairs.join(',') };
  }

  get supervisorPid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error('switchyard is not running');
    return pid;
  }

  /** The pid of the engine, or of every proxy worker, that runs now, from the log of the supervisor. */
  pids(role: 'engine' | 'proxy'): number[] {
    const started = new Map<string, number>();
    for (const line of this.log().split('\n')) {
      const entry = line.startsWith('{') ? (JSON.parse(line) as { child?: string; pid?: number; msg?: string }) : {};
      if (entry.msg === 'started' && entry.child?.startsWith(role) === true && entry.pid !== undefined)
        started.set(entry.child, entry.pid);
    }
    return [...started.values()];
  }

  log(): string {
    return readFileSync(this.logFile, 'utf8');
  }

  /** Reads certificates again. */
  reload(): void {
    process.kill(this.supervisorPid, 'SIGHUP');
  }

  /** As an operator's Ctrl-C: drains, then ends. */
  async stop(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
    this.#process = undefined;
  }

  /** SIGKILL to the supervisor and everything that it started. */
  async killAll(): Promise<void> {
    for (const { pid } of this.#former.splice(0)) if (pid !== undefined) endProcess(-pid);
    const child = this.#process;
    if (child?.pid === undefined || child.exitCode !== null) return;
    const exited = once(child, 'exit');
    process.kill(-child.pid, 'SIGKILL');
    await exited;
    this.#process = undefined;
  }

  /** SIGKILL to the supervisor alone: its proxies stay, its engine ends by itself. */
  async killSupervisor(): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    this.#process = undefined;
    this.#left.push(...this.pids('proxy'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
    await this.killAll();
    for (const pid of this.#left) endProcess(pid);
    this.#watchdog.dismiss();
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  async #ready(child: ChildProcess): Promise<void> {
    const deadline = Date.now() + READY_MS;
    for (;;) {
      if (child.exitCode !== null || Date.now() > deadline) {
        throw new AppError('SERVER_NOT_STARTED', `switchyard did not get ready:\n${this.log().slice(-3000)}`);
      }
      const response = await fetch(`${this.adminUrl}/readyz`).catch(() => undefined);
      if (response?.ok === true && this.#former.at(-1)?.exitCode !== null) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}
