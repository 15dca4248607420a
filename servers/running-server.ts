import type { Flavor } from './flavor.ts';

/** Where a server came from; only `process` and `docker` servers are ours to stop. */
export type ServerOrigin = 'dsn' | 'docker' | 'process';

export interface StartOptions {
  flavor: Flavor;
  /** Which DSN variable is looked at, and the default server id. */
  role?: 'source' | 'target';
  /** More command-line options of the server (`--sync-binlog=0`); later ones win. */
  options?: readonly string[];
  serverId?: number;
  /** Left out: a free one. */
  port?: number;
}

/**
 * A server that runs. Disposing of it (`await using`) kills it and removes its data; so does the end of this process,
 * however it ends.
 */
export interface RunningServer extends AsyncDisposable {
  readonly flavor: Flavor;
  readonly origin: ServerOrigin;
  readonly host: string;
  readonly port: number;
  /** Null where the server is not a process of this machine. */
  readonly socket: string | null;
  readonly datadir: string | null;
  readonly errorLog: string | null;
  /** Null while stopped. */
  readonly pid: number | null;
  readonly adminUser: string;
  readonly adminPassword: string;
  /** `mysql://root:…@127.0.0.1:port` */
  readonly dsn: string;
  /** An orderly shutdown; the data stays for `start`. */
  stop(): Promise<void>;
  /** SIGKILL, as a crash; the data stays for `start`. */
  kill(): Promise<void>;
  /** Starts a stopped or killed server again, on the same port and data. */
  start(): Promise<void>;
  /** `stop` and `start`. */
  restart(): Promise<void>;
}
