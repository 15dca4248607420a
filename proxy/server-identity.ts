import { connect } from 'node:net';
import { OWN_PROXY_HEADER } from '../core/wire/proxy-header.ts';
import { otherSide, type Side } from '../core/phase.ts';
import { endpointOfSide, sideOf, type Endpoint, type Role, type RoutingRecord } from '../core/routing-record.ts';
import { CAPABILITY, combine } from '../core/wire/capabilities.ts';
import { parseHandshake, type Handshake } from '../core/wire/handshake.ts';
import { MessageStream } from './message-stream.ts';

/** What the greeting says of the server: version and capabilities that hold on both sides. */
export interface ServerIdentity {
  serverVersion: string;
  capabilities: number;
  collation: number;
  /** One side is MariaDB and the other is not: they do not know the same collations. */
  isMixed: boolean;
}

/** utf8mb4_0900_ai_ci, the default of MySQL 8.0 and later. */
const DEFAULT_COLLATION = 255;

/**
 * Everything that passes through unchanged, or that the proxy does itself (TLS, plugin authentication, compression).
 * Not offered: optional result-set metadata, multi-factor authentication.
 */
const SUPPORTED = combine(
  CAPABILITY.LONG_PASSWORD,
  CAPABILITY.FOUND_ROWS,
  CAPABILITY.LONG_FLAG,
  CAPABILITY.CONNECT_WITH_DB,
  CAPABILITY.NO_SCHEMA,
  CAPABILITY.ODBC,
  CAPABILITY.LOCAL_FILES,
  CAPABILITY.IGNORE_SPACE,
  CAPABILITY.PROTOCOL_41,
  CAPABILITY.INTERACTIVE,
  CAPABILITY.SSL,
  CAPABILITY.IGNORE_SIGPIPE,
  CAPABILITY.TRANSACTIONS,
  CAPABILITY.RESERVED,
  CAPABILITY.SECURE_CONNECTION,
  CAPABILITY.MULTI_STATEMENTS,
  CAPABILITY.MULTI_RESULTS,
  CAPABILITY.PS_MULTI_RESULTS,
  CAPABILITY.PLUGIN_AUTH,
  CAPABILITY.CONNECT_ATTRS,
  CAPABILITY.PLUGIN_AUTH_LENENC_CLIENT_DATA,
  CAPABILITY.CAN_HANDLE_EXPIRED_PASSWORDS,
  CAPABILITY.SESSION_TRACK,
  CAPABILITY.DEPRECATE_EOF,
  CAPABILITY.QUERY_ATTRIBUTES,
);

/** Done by the proxy itself, whatever the server can. */
const OURS = combine(
  CAPABILITY.LONG_PASSWORD,
  CAPABILITY.COMPRESS,
  CAPABILITY.ZSTD_COMPRESSION_ALGORITHM,
  CAPABILITY.SSL,
  CAPABILITY.SECURE_CONNECTION,
  CAPABILITY.PLUGIN_AUTH,
  CAPABILITY.PLUGIN_AUTH_LENENC_CLIENT_DATA,
  CAPABILITY.PROTOCOL_41,
  CAPABILITY.CONNECT_WITH_DB,
);

const FALLBACK: ServerIdentity = {
  serverVersion: '8.0.0-switchyard',
  capabilities: combine(SUPPORTED, OURS),
  collation: DEFAULT_COLLATION,
  isMixed: false,
};

const GREETING_TIMEOUT_MS = 2000;

/**
 * Learns from the greetings of both sides what to say in ours. Sessions log in before they know their server, so a
 * capability that one side lacks is offered to nobody: a session could not move there with it.
 */
export class ServerIdentities {
  readonly #greetings = new Map<string, Promise<Handshake | null>>();
  readonly #proxyHeaderTo: readonly Side[];

  /** `proxyHeaderTo`: sides whose servers wait for a PROXY protocol header before they greet. */
  constructor(proxyHeaderTo: readonly Side[] = []) {
    this.#proxyHeaderTo = proxyHeaderTo;
  }

  /** Asks the servers of `record` now, so that the first client need not wait. */
  learn(record: RoutingRecord): void {
    for (const role of ['primary', 'replica'] as const) {
      for (const side of ['source', 'target'] as const) void this.#greetingOf(record, side, role);
    }
  }

  async identity(record: RoutingRecord | null, role: Role): Promise<ServerIdentity> {
    if (record === null) return FALLBACK;
    const side = sideOf(record, role);
    const current = await this.#greetingOf(record, side, role);
    const other = await this.#greetingOf(record, otherSide(side), role);
    const supported = [current, other].reduce(
      (all, greeting) => (greeting === null ? all : all & greeting.capabilities),
      SUPPORTED,
    );
    return {
      serverVersion: current?.serverVersion ?? FALLBACK.serverVersion,
      capabilities: combine(supported, OURS),
      collation: current?.collation ?? DEFAULT_COLLATION,
      isMixed: current !== null && other !== null && current.isMariaDb !== other.isMariaDb,
    };
  }

  #greetingOf(record: RoutingRecord, side: Side, role: Role): Promise<Handshake | null> {
    const endpoint = endpointOfSide(record, side, role);
    const key = `${endpoint.host}:${endpoint.port}`;
    const known = this.#greetings.get(key);
    if (known !== undefined) return known;
    const learned = readGreeting(endpoint, this.#proxyHeaderTo.includes(side)).catch(() => {
      // Asked again with the next client.
      this.#greetings.delete(key);
      return null;
    });
    this.#greetings.set(key, learned);
    return learned;
  }
}

async function readGreeting({ host, port }: Endpoint, wantsProxyHeader: boolean): Promise<Handshake> {
  const socket = connect({ host, port, timeout: GREETING_TIMEOUT_MS });
  socket.on('timeout', () => socket.destroy());
  if (wantsProxyHeader) socket.write(OWN_PROXY_HEADER);
  const stream = new MessageStream(socket, { maxBytes: 1 << 16 });
  try {
    return parseHandshake(await stream.next());
  } finally {
    stream.detach();
    socket.destroy();
  }
}
