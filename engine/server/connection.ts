import mysql, { type Connection, type ConnectionOptions, type QueryOptions, type ResultSetHeader } from 'mysql2';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { checkServerIdentity as checkIdentity } from 'node:tls';
import { AppError } from '../../core/errors.ts';
import type { ServerDefinition } from '../api.ts';
import { SilenceWatch } from './silence-watch.ts';
import { leaseSocket, type SocketLease } from './socket-lease.ts';

/**
 * Bytes as a string of one character per byte (latin1). Values and SQL travel in this form between reading and
 * writing: no decoding, cheap to cut, join, compare and use as a map key.
 */
export type Bytes = string;
export type Value = Bytes | null;

/** UTF-8 bytes of a text, for names and messages that go into byte SQL. */
export function bytesOf(text: string): Bytes {
  return Buffer.from(text, 'utf8').toString('latin1');
}

export function textOf(bytes: Bytes): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** A name as an identifier in byte SQL (`text` is ordinary text). */
export function quoteName(text: string): Bytes {
  return `\`${bytesOf(text).replaceAll('`', '``')}\``;
}

/** A text as a utf8mb4 literal in byte SQL. */
export function quoteText(text: string): Bytes {
  return `_utf8mb4'${escapeBytes(bytesOf(text))}'`;
}

/** Less than any server's max_allowed_packet, but for those that nobody could use; more is compared with it. */
const SURELY_TAKEN_BYTES = 512 * 1024;

/** Longest wait for the server to close a connection that is given up. */
const CLOSE_MS = 1000;

// oxlint-disable-next-line no-control-regex -- NUL and Ctrl-Z are what has to be found
const ESCAPED = /[\0\n\r\x1a'\\]/g;
const ESCAPES: Record<string, string> = {
  '\0': '\\0',
  '\n': '\\n',
  '\r': '\\r',
  '\x1a': '\\Z',
  "'": "\\'",
  '\\': '\\\\',
};

const BACKSLASH = 0x5c;
/** By byte: what follows the backslash; 0 where there is none. */
const ESCAPE_LETTERS = Uint8Array.from(
  { length: 256 },
  (_, byte) => ESCAPES[String.fromCodePoint(byte)]?.codePointAt(1) ?? 0,
);
const LONG_BYTES = 4096;

/** Inside single quotes, without NO_BACKSLASH_ESCAPES (https://dev.mysql.com/doc/refman/9.7/en/string-literals.html). */
export function escapeBytes(bytes: Bytes): Bytes {
  if (bytes.length > LONG_BYTES) return escapeLong(bytes);
  return bytes.replace(ESCAPED, (character) => ESCAPES[character] ?? character);
}

/** `replace` makes a string per match, which for a long binary value takes twenty times its size. */
function escapeLong(bytes: Bytes): Bytes {
  const source = Buffer.from(bytes, 'latin1');
  const escaped = Buffer.allocUnsafe(source.length * 2);
  let at = 0;
  for (const byte of source) {
    const letter = ESCAPE_LETTERS[byte] ?? 0;
    if (letter !== 0) {
      escaped[at] = BACKSLASH;
      at += 1;
    }
    escaped[at] = letter === 0 ? byte : letter;
    at += 1;
  }
  return escaped.toString('latin1', 0, at);
}

export interface WriteResult {
  affectedRows: number;
  warnings: number;
  info: string;
}

export interface OpenOptions {
  database?: string;
  /** Statements run before the connection is used. */
  session?: Bytes[];
  connectTimeoutMs?: number;
  /** Allows `batch`. */
  multiStatements?: boolean;
  /** After so long without a byte the server is asked whether it still works on the command. */
  silenceMs?: number;
}

const SILENCE_MS = 15_000;
/** Longest wait for what a server says of another connection. */
const PROBE_MS_MAX = 10_000;
/** For a lock on a row. */
export const LOCK_WAIT_SECONDS = 10;

/**
 * Every session of ours: UTC, no conversion of character sets in either direction, READ COMMITTED, patient enough.
 * sql_mode is not strict on purpose: ENUM index 0 and zero dates must pass; whoever writes data checks the warnings.
 *
 * And whatever the server has for everybody (my.cnf, init_connect) that would change what a statement of ours does: a
 * sql_select_limit cuts the rows of a SELECT off without a word, without autocommit a SELECT goes on showing an old snapshot.
 */
const SESSION: Bytes[] = [
  `SET SESSION autocommit=1, completion_type=0, sql_select_limit=18446744073709551615, sql_safe_updates=0, sql_big_selects=1, sql_notes=1, sql_quote_show_create=1/*M!, max_statement_time=0*/`,
  `SET SESSION time_zone='+00:00', sql_mode='NO_AUTO_VALUE_ON_ZERO', net_read_timeout=600, net_write_timeout=600, wait_timeout=28800, lock_wait_timeout=60, innodb_lock_wait_timeout=${LOCK_WAIT_SECONDS}`,
  'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE',
];

/** One connection of our own user, with everything as bytes. */
export class ServerConnection implements AsyncDisposable {
  readonly raw: Connection;
  readonly server: ServerDefinition;
  #failure: Error | undefined;
  /** mysql2 forgets commands under way when we end the connection ourselves: `destroy` settles them. */
  readonly #underWay = new Set<(error: unknown) => void>();
  /** Commands begun, and those that are not over. */
  #commands = 0;
  #open = 0;
  #silentMax: number | undefined;
  readonly #watch: SilenceWatch | undefined;
  #packetBytesMax: number | undefined;

  private constructor(raw: Connection, server: ServerDefinition, silenceMs: number) {
    this.raw = raw;
    this.server = server;
    if (silenceMs > 0) {
      this.#watch = new SilenceWatch(
        {
          socket: this.#socket,
          commandNumber: () => (this.#open > 0 ? this.#commands : undefined),
          silentMax: () => this.#silentMax,
          probe: async () => this.#probe(Math.min(PROBE_MS_MAX, silenceMs)),
          lose: (reason) => void this.#lose(reason, Math.min(PROBE_MS_MAX, silenceMs)),
        },
        silenceMs,
      );
    }
    raw.on('error', (error: Error) => {
      this.#failure = error;
      this.#watch?.stop();
    });
  }

  /** Rejects with SERVER_UNREACHABLE, LOGIN_REFUSED or the AppError for what the server said. */
  static async open(server: ServerDefinition, options: OpenOptions = {}): Promise<ServerConnection> {
    const raw = await connect(server, options);
    const connection = new ServerConnection(raw, server, options.silenceMs ?? SILENCE_MS);
    try {
      for (const statement of [...SESSION, ...(options.session ?? [])]) await connection.write(statement);
      return connection;
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  get broken(): boolean {
    return this.#failure !== undefined;
  }

  get threadId(): number {
    return this.raw.threadId;
  }

  /** Rows of byte values, in the order of the select list. */
  async rows(sql: Bytes): Promise<Value[][]> {
    const result = await this.#run({ sql, rowsAsArray: true, typeCast: castToBytes });
    return result as Value[][];
  }

  /** Rows as objects of byte values, for SHOW: its columns have names, and their order differs between servers. */
  async named(sql: Bytes): Promise<Record<string, Value>[]> {
    return (await this.#run({ sql, typeCast: castToBytes })) as Record<string, Value>[];
  }

  /** Rows as objects of text (UTF-8), for metadata. */
  async select<Row extends Record<string, string | null>>(sql: Bytes): Promise<Row[]> {
    const result = await this.#run({ sql, typeCast: castToText });
    return result as Row[];
  }

  async selectOne<Row extends Record<string, string | null>>(sql: Bytes): Promise<Row | undefined> {
    return (await this.select<Row>(sql))[0];
  }

  /** A statement without a result set. Rejects with STATEMENT_TOO_LARGE before it is sent. */
  async write(sql: Bytes): Promise<WriteResult> {
    if (sql.length > SURELY_TAKEN_BYTES) await this.#checkLength(sql);
    return writeResult((await this.#run({ sql })) as ResultSetHeader);
  }

  /**
   * Several statements without result sets in one round trip, in order; needs `multiStatements`. The server stops at
   * the first that fails, and what ran before it stays as the transaction has it.
   */
  async batch(statements: Bytes[]): Promise<WriteResult[]> {
    const bytes = statements.reduce((sum, statement) => sum + statement.length + 2, 0);
    if (bytes > SURELY_TAKEN_BYTES && bytes > (await this.#packetLimit())) return await this.#oneByOne(statements);
    const result = (await this.#run({ sql: statements.join(';\n') })) as ResultSetHeader | ResultSetHeader[];
    return (Array.isArray(result) ? result : [result]).map(writeResult);
  }

  async #oneByOne(statements: Bytes[]): Promise<WriteResult[]> {
    const results: WriteResult[] = [];
    for (const statement of statements) results.push(await this.write(statement));
    return results;
  }

  /** The server's answer to a larger packet is to end the connection, which looks like a failure of the network. */
  async #checkLength(sql: Bytes): Promise<void> {
    const limit = await this.#packetLimit();
    if (sql.length < limit) return;
    throw new AppError(
      'STATEMENT_TOO_LARGE',
      `a statement of ${sql.length} bytes is more than max_allowed_packet (${limit}) of ${at(this.server)}: ${sql.slice(0, 100)}…`,
      { details: { bytes: sql.length, maxAllowedPacket: limit } },
    );
  }

  async #packetLimit(): Promise<number> {
    this.#packetBytesMax ??= Number((await this.rows('SELECT @@max_allowed_packet'))[0]?.[0]);
    return this.#packetBytesMax;
  }

  /** The text of the first warnings of the last statement. */
  async warnings(max = 5): Promise<string[]> {
    const rows = await this.select<{ Level: string; Code: string; Message: string }>(`SHOW WARNINGS LIMIT ${max}`);
    return rows.map(({ Code, Message }) => `${Code}: ${Message}`);
  }

  /** Says goodbye and waits for it, but not long. */
  async close(): Promise<void> {
    if (this.#failure === undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, CLOSE_MS);
      this.raw.end(() => resolve());
      await promise;
      clearTimeout(timer);
    }
    this.destroy();
  }

  /** Ends it at once, whatever is under way. mysql2's `destroy` only half-closes: a paused socket would stay. */
  destroy(): void {
    this.#failure ??= new Error('the connection was closed');
    this.#watch?.stop();
    this.raw.destroy();
    this.#socket.destroy();
    for (const reject of this.#underWay) reject(serverError(this.server, this.#failure));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The socket for one command of our own, see `leaseSocket`. `silentMax`: see `Watched`. */
  lease(handlers: Parameters<typeof leaseSocket>[1], silentMax?: number): SocketLease {
    this.#begin();
    this.#silentMax = silentMax;
    const lease = leaseSocket(this.raw, handlers);
    return {
      ...lease,
      release: () => {
        this.#open -= 1;
        this.#silentMax = undefined;
        lease.release();
      },
    };
  }

  get #socket(): Socket {
    return (this.raw as unknown as { stream: Socket }).stream;
  }

  #begin(): void {
    this.#commands += 1;
    this.#open += 1;
  }

  /** `lost`: the server has ended the connection, waits for the next command, or for us to take what it sends. */
  async #probe(deadlineMs: number): Promise<'working' | 'lost'> {
    try {
      const rows = await this.#elsewhere('SHOW PROCESSLIST', deadlineMs);
      const row = rows.find(([id]) => id === String(this.threadId));
      const [, , , , command, , state] = row ?? [];
      const isLost =
        row === undefined || command === 'Sleep' || /^(sending to client|writing to net)/i.test(state ?? '');
      return isLost ? 'lost' : 'working';
    } catch (error) {
      if (errnoOf(error) === undefined || errnoOf(error) === 0) throw error;
      // It answers, though not what was asked: too many connections, mostly.
      return 'working';
    }
  }

  /** Ended on the server as well: until it notices by itself, its transaction would keep its locks. */
  async #lose(reason: Error, deadlineMs: number): Promise<void> {
    await this.#elsewhere(`KILL ${this.threadId}`, deadlineMs).catch(() => {});
    this.#failure ??= reason;
    this.destroy();
  }

  /** One statement over another connection to the same server. */
  async #elsewhere(sql: Bytes, deadlineMs: number): Promise<Value[][]> {
    const opening = ServerConnection.open(this.server, { connectTimeoutMs: deadlineMs, silenceMs: 0 });
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error('no answer in time')), deadlineMs);
    try {
      const other = await Promise.race([opening, late]);
      return await Promise.race([other.rows(sql), late]);
    } finally {
      clearTimeout(timer);
      opening.then(
        (other) => other.destroy(),
        () => {},
      );
    }
  }

  async #run(options: QueryOptions): Promise<unknown> {
    if (this.#failure !== undefined) throw serverError(this.server, this.#failure);
    this.#begin();
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.raw.query(options, (error, result) => {
      if (error === null) resolve(result);
      else reject(serverError(this.server, error));
    });
    this.#underWay.add(reject);
    try {
      return await promise;
    } finally {
      this.#open -= 1;
      this.#underWay.delete(reject);
    }
  }
}

function writeResult({ affectedRows, warningStatus, info }: ResultSetHeader): WriteResult {
  return { affectedRows, warnings: warningStatus, info };
}

type Field = Parameters<Extract<NonNullable<QueryOptions['typeCast']>, (...args: never[]) => unknown>>[0];

function castToBytes(field: Field): Value {
  const buffer = field.buffer();
  return buffer === null ? null : buffer.toString('latin1');
}

function castToText(field: Field): string | null {
  return field.buffer()?.toString('utf8') ?? null;
}

/** mode `preferred` is MySQL's: TLS where the server has it, without looking at the certificate. */
async function connect(server: ServerDefinition, options: OpenOptions): Promise<Connection> {
  const attempt = mysql.createConnection(connectionOptions(server, options));
  try {
    await once(attempt, 'connect');
    return attempt;
  } catch (cause) {
    attempt.destroy();
    if (server.tls.mode === 'preferred' && (cause as DriverError).code === 'HANDSHAKE_NO_SSL_SUPPORT') {
      return await connect({ ...server, tls: { ...server.tls, mode: 'disabled' } }, options);
    }
    throw connectError(server, cause);
  }
}

/** mysql2's options for our own user on `server`; `charset` binary makes SQL and answers plain bytes. */
export function connectionOptions(
  server: ServerDefinition,
  { database, connectTimeoutMs = 10_000, multiStatements = false }: OpenOptions,
): ConnectionOptions {
  const { host, port, user, password, tls } = server;
  return {
    host,
    port,
    user,
    password,
    ...(database === undefined ? {} : { database }),
    charset: 'BINARY',
    connectTimeout: connectTimeoutMs,
    enableKeepAlive: true,
    // Without it a peer that vanished is noticed after two hours (Linux).
    keepAliveInitialDelay: 15_000,
    multipleStatements: multiStatements,
    flags: ['LOCAL_FILES', '-FOUND_ROWS'],
    connectAttributes: { program_name: 'switchyard' },
    ...(tls.mode === 'disabled'
      ? {}
      : {
          ssl: {
            minVersion: tls.minVersion,
            rejectUnauthorized: tls.mode === 'verify_ca' || tls.mode === 'verify_identity',
            ...(tls.ca === undefined ? {} : { ca: tls.ca }),
            ...(tls.cert === undefined ? {} : { cert: tls.cert }),
            ...(tls.key === undefined ? {} : { key: tls.key }),
            ...(tls.mode === 'verify_identity'
              ? {
                  verifyIdentity: true,
                  checkServerIdentity: (_host: string, cert: Parameters<typeof checkIdentity>[1]) =>
                    checkIdentity(tls.serverName ?? host, cert),
                }
              : {}),
          },
        }),
  };
}

interface DriverError extends Error {
  code?: string;
  errno?: number;
  sqlState?: string;
}

function at({ host, port }: ServerDefinition): string {
  return `${host}:${port}`;
}

/** Refusals that pass: too many connections (of all, of this user by either kind of limit), offline mode. */
const BUSY: ReadonlySet<number> = new Set([1040, 1203, 1226, 3032]);

function connectError(server: ServerDefinition, cause: unknown): AppError {
  const { code, errno, message, sqlState } = cause as DriverError;
  if (errno === 1045 || errno === 1698) {
    return new AppError('LOGIN_REFUSED', `${at(server)} refused the login of ${server.user}: ${message}`, { cause });
  }
  if (sqlState !== undefined && !(errno !== undefined && BUSY.has(errno))) return serverError(server, cause);
  return new AppError('SERVER_UNREACHABLE', `${at(server)} cannot be reached: ${message || (code ?? 'no answer')}`, {
    cause,
  });
}

/** What a server answered, as an AppError: `details.errno` is MySQL's error number, 0 for a lost connection. */
export function serverError(server: ServerDefinition, cause: unknown): AppError {
  const { errno, message, sqlState } = cause as DriverError;
  // Not by `code`: mysql2 has names for some of the servers' errors only. What a server says has an SQL state.
  const lost = sqlState === undefined;
  // 1053 shutdown in progress, 1927/4031 killed for inactivity, 3032 offline mode: the connection is gone as well.
  if (lost || errno === 1053 || errno === 1927 || errno === 4031 || errno === 3169 || errno === 3032) {
    return new AppError('SERVER_GONE', `the connection to ${at(server)} was lost: ${message}`, {
      cause,
      details: { errno: 0 },
    });
  }
  return new AppError(
    isFull(errno, message) ? 'SERVER_FULL' : isReadOnly(errno, message) ? 'SERVER_READ_ONLY' : 'SERVER_ERROR',
    `${at(server)} answered ${errno} (${sqlState}): ${message}`,
    {
      cause,
      details: { errno },
    },
  );
}

/** 1114 table full, 1021 disk full; others pass on the system's error 28 (ENOSPC). */
function isFull(errno: number | undefined, message: string): boolean {
  return (
    errno === 1114 || errno === 1021 || /\b(errno|error:?|error number):? 28\b|No space left on device/i.test(message)
  );
}

/** 1290 (the server is running with the --read-only option, or super-read-only; other options as well), 1836. */
function isReadOnly(errno: number | undefined, message: string): boolean {
  return errno === 1836 || (errno === 1290 && /read[-_]only/i.test(message));
}

/** MySQL's error number of an AppError made by `serverError`; undefined for anything else. */
export function errnoOf(error: unknown): number | undefined {
  const errno = error instanceof AppError ? error.details['errno'] : undefined;
  return typeof errno === 'number' ? errno : undefined;
}
