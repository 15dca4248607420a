import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AppError } from '../core/errors.ts';
import { ADMIN_PASSWORD, ADMIN_USER, copyDataDirectory } from './data-directory.ts';
import { fileOptions, runAsOptions } from './file-options.ts';
import type { Flavor } from './flavor.ts';
import type { Installation } from './installation.ts';
import type { RunningServer } from './running-server.ts';
import { serverOptions } from './server-options.ts';
import { tlsOptions } from './tls-certificate.ts';
import { waitForLogin } from './wait-for-login.ts';
import { startWatchdog, type Watchdog } from './watchdog.ts';

const EMPTY_DEFAULTS = 'my.cnf';

interface ServerProcessOptions {
  flavor: Flavor;
  installation: Installation;
  port: number;
  serverId: number;
  options: readonly string[];
}

/** A database server as a child process with a data directory of its own under the temporary folder. */
export class ServerProcess implements RunningServer {
  readonly origin = 'process';
  readonly host = '127.0.0.1';
  readonly adminUser = ADMIN_USER;
  readonly adminPassword = ADMIN_PASSWORD;
  readonly flavor: Flavor;
  readonly port: number;
  readonly datadir: string;
  readonly socket: string;
  readonly errorLog: string;
  readonly #folder: string;
  readonly #watchdog: Watchdog;
  readonly #daemon: string;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;

  /** Copies the data and starts the server; resolves once it takes logins. */
  static async start(options: ServerProcessOptions): Promise<ServerProcess> {
    // Short, as a socket's path may have 107 bytes at most.
    const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-'));
    const server = new ServerProcess(folder, options, await tlsOptions(options.installation, folder));
    try {
      await copyDataDirectory(options.installation, server.datadir);
      // One that everybody may write to is not read.
      await writeFile(path.join(folder, EMPTY_DEFAULTS), '', { mode: 0o644 });
      await server.start();
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(
    folder: string,
    { flavor, installation, port, serverId, options }: ServerProcessOptions,
    tls: string[],
  ) {
    this.flavor = flavor;
    this.port = port;
    this.#folder = folder;
    this.datadir = path.join(folder, 'data');
    this.socket = path.join(folder, 'mysqld.sock');
    this.errorLog = path.join(folder, 'error.log');
    this.#watchdog = startWatchdog(folder);
    this.#daemon = installation.daemon;
    this.#args = [
      // An empty one, not --no-defaults: with that, MySQL does not read what SET PERSIST has kept either.
      `--defaults-file=${path.join(folder, EMPTY_DEFAULTS)}`,
      ...fileOptions(installation),
      ...runAsOptions(),
      `--datadir=${this.datadir}`,
      `--socket=${this.socket}`,
      `--pid-file=${path.join(folder, 'mysqld.pid')}`,
      `--log-error=${this.errorLog}`,
      // MariaDB deletes every temporary table that it finds there when it starts, those of a running server too.
      `--tmpdir=${folder}`,
      '--bind-address=127.0.0.1',
      ...serverOptions(installation.family, { serverId, port }),
      ...tls,
      ...options,
    ];
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  get dsn(): string {
    return `mysql://${this.adminUser}:${this.adminPassword}@${this.host}:${this.port}`;
  }

  async start(): Promise<void> {
    if (this.#child !== undefined) return;
    // Detached: a Ctrl-C in the terminal is for this process, which then ends its servers in its own order.
    const child = spawn(this.#daemon, this.#args, { detached: true, stdio: 'ignore' });
    child.on('error', () => (this.#child = undefined));
    child.on('exit', () => {
      if (this.#child === child) this.#child = undefined;
      this.#watchdog.watch(null);
    });
    this.#child = child;
    this.#watchdog.watch(child.pid ?? null);
    await this.#ready(child);
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Killed, not shut down: the data goes with it.
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
    this.#watchdog.dismiss();
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  async #ready(child: ChildProcess): Promise<void> {
    if (await waitForLogin(this.dsn, { isAlive: () => this.#child === child })) return;
    const log = await readFile(this.errorLog, 'utf8').catch(() => '');
    await this.kill();
    throw new AppError('SERVER_NOT_STARTED', `${this.flavor} did not start on port ${this.port}: ${log.slice(-2000)}`);
  }
}
