/** A client program whose output through the proxy has to equal its output on a direct connection. */
export interface ConformanceClient {
  name: string;
  /** What packages it: `npm`, a Debian package, a module of Go. */
  from: string;
  /** Prints the client's version, on its first line. */
  version: CommandLine;
  program: CommandLine;
  /** Servers that it cannot talk to at all, with the reason. */
  excluded?: Partial<Record<'mysql' | 'mariadb', string>>;
  /** Lines that differ for a known reason; all others must be equal. */
  exceptions?: Partial<Record<'mysql' | 'mariadb', { lines: RegExp; why: string }>>;
  /** Why it is not run with TLS. */
  excludedTls?: string;
}

export interface CommandLine {
  command: string;
  args: string[];
  environment?: Record<string, string>;
  /** A file that it reads from standard input. */
  input?: string;
}

/** Where a client connects to; programs read it from DB_HOST, DB_PORT, DB_USER, DB_PASSWORD, DB_NAME, DB_TLS. */
export interface ClientTarget {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  tls: boolean;
}

export interface ClientOutput {
  code: number | null;
  text: string;
}
