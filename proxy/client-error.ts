import type { ErrPacket } from '../core/wire/err-packet.ts';

/** Why a client was not let in, was put out, or a command was not taken: the label of a metric, so that there are few of them. */
export type RefusalReason =
  | 'malformed packet'
  /** Of a server. */
  | 'malformed answer'
  | 'handshake timeout'
  | 'idle timeout'
  | 'slow reader'
  | 'connection lost'
  | 'too many connections'
  | 'too many failed logins'
  | 'access denied'
  | 'old protocol'
  | 'unsupported plugin'
  | 'unsupported command'
  /** Replica traffic that asked for a writable transaction while it is at another side than the primary's. */
  | 'replica write'
  | 'TLS required'
  | 'no import'
  | 'server unreachable'
  | 'held too long'
  /** Sessions that a switch could not carry over. */
  | 'pinned'
  | 'relayed login'
  | 'state not restored'
  | 'closed for a switch'
  | 'shutdown'
  | 'refused by the server'
  | 'internal error';

/** An error of ours is counted by its reason; a server's has none. */
export type OwnError = ErrPacket & { reason?: RefusalReason };

/** An error that the application is to see, as a MySQL error. */
export class ClientError extends Error {
  override readonly name = 'ClientError';
  readonly packet: OwnError;

  constructor(packet: OwnError, options?: ErrorOptions) {
    super(packet.message, options);
    this.packet = packet;
  }
}

/** What the proxy itself says to applications: server codes that drivers know, with texts that name the proxy. */
export const CLIENT_ERROR = {
  tooManyConnections: (): OwnError => ({
    reason: 'too many connections',
    code: 1040,
    sqlState: '08004',
    message: 'Too many connections to Switchyard',
  }),
  badHandshake: (): OwnError => ({
    reason: 'malformed packet',
    code: 1043,
    sqlState: '08S01',
    message: 'Bad handshake',
  }),
  oldClient: (): OwnError => ({
    reason: 'old protocol',
    code: 1251,
    sqlState: '08004',
    message: 'Client does not support the protocol of MySQL 4.1 and later, which Switchyard requires',
  }),
  tlsRequired: (): OwnError => ({
    reason: 'TLS required',
    code: 3159,
    sqlState: '08004',
    message: 'Connections using insecure transport are prohibited: Switchyard is configured with proxy.tls.required',
  }),
  noImport: (): OwnError => ({
    reason: 'no import',
    code: 1105,
    sqlState: '08004',
    message: 'Switchyard does not know where to route yet: no import has been created (switchyard import create)',
  }),
  unreachable: (where: string, why: string): OwnError => ({
    reason: 'server unreachable',
    code: 1105,
    sqlState: '08S01',
    message: `Switchyard cannot reach the database server ${where}: ${why}`,
  }),
  accessDenied: (user: string): OwnError => ({
    reason: 'access denied',
    code: 1045,
    sqlState: '28000',
    message: `Access denied for user '${user}'`,
  }),
  unsupportedPlugin: (plugin: string): OwnError => ({
    reason: 'unsupported plugin',
    code: 1251,
    sqlState: '08004',
    message: `The server's account uses the authentication plugin ${plugin}, which Switchyard does not support`,
  }),
  relayedLogin: (): OwnError => ({
    reason: 'relayed login',
    code: 1105,
    sqlState: '08S01',
    message:
      'The login of this session was relayed (proxy.relayedUsers): without its password Switchyard cannot log in elsewhere',
  }),
  tooManyFailures: (address: string): OwnError => ({
    reason: 'too many failed logins',
    code: 1129,
    sqlState: 'HY000',
    message: `Host '${address}' is blocked by Switchyard for a minute because of many failed logins (proxy.maxFailedLogins)`,
  }),
  tooManyOf: (what: string): OwnError => ({
    reason: 'too many connections',
    code: 1203,
    sqlState: '42000',
    message: `More connections of ${what} than Switchyard is configured to take`,
  }),
  backendLost: (why: string): OwnError => ({
    reason: 'connection lost',
    code: 2013,
    sqlState: '08S01',
    message: `Lost connection to the MySQL server behind Switchyard: ${why}`,
  }),
  moveFailed: (why: string): OwnError => ({
    reason: 'state not restored',
    code: 1105,
    sqlState: '08S01',
    message: `Switchyard could not carry this session over to the other database server: ${why}`,
  }),
  notMovable: (reasons: string): OwnError => ({
    reason: 'pinned',
    code: 1105,
    sqlState: '08S01',
    message: `Switchyard switched to another database server and this session could not be carried over: ${reasons}`,
  }),
  closedForSwitch: (): OwnError => ({
    reason: 'closed for a switch',
    code: 1105,
    sqlState: '08S01',
    message:
      'Switchyard ended this session: it kept a switch waiting longer than the drain budget (drainPolicy close-sessions)',
  }),
  /** ER_CLIENT_INTERACTION_TIMEOUT: as the server's own wait_timeout. */
  idleTooLong: (): OwnError => ({
    reason: 'idle timeout',
    code: 4031,
    sqlState: 'HY000',
    message: 'The client was disconnected by Switchyard because of inactivity (proxy.idleTimeoutMs)',
  }),
  heldTooLong: (): OwnError => ({
    reason: 'held too long',
    code: 1105,
    sqlState: '08S01',
    message: 'Switchyard held this session longer than proxy.holdTimeoutMs allows',
  }),
  shutdown: (): OwnError => ({
    reason: 'shutdown',
    code: 1053,
    sqlState: '08S01',
    message: 'Server shutdown in progress (Switchyard proxy)',
  }),
  unsupportedCommand: (name: string): OwnError => ({
    reason: 'unsupported command',
    code: 1235,
    sqlState: '42000',
    message: `Switchyard doesn't support ${name}`,
  }),
  otherRole: (): OwnError => ({
    reason: 'unsupported command',
    code: 1235,
    sqlState: '42000',
    message: 'The @primary/@replica suffix cannot change within a connection to Switchyard: connect again',
  }),
  apartFromPrimary: (): OwnError => ({
    reason: 'replica write',
    code: 1792,
    sqlState: '25006',
    message:
      'Switchyard: replica traffic cannot write while primary traffic is on the other side (phase switched_replicas); use the primary endpoint',
  }),
  interrupted: (): ErrPacket => ({ code: 1317, sqlState: '70100', message: 'Query execution was interrupted' }),
  unknownThread: (id: string): ErrPacket => ({ code: 1094, sqlState: 'HY000', message: `Unknown thread id: ${id}` }),
  /** ER_NEED_REPREPARE: drivers that know it prepare again. */
  statementLost: (): ErrPacket => ({
    code: 1615,
    sqlState: 'HY000',
    message: 'Prepared statement needs to be re-prepared',
  }),
  malformed: (): OwnError => ({
    reason: 'malformed packet',
    code: 1835,
    sqlState: 'HY000',
    message: 'Malformed communication packet.',
  }),
  malformedAnswer: (): OwnError => ({
    reason: 'malformed answer',
    code: 2013,
    sqlState: '08S01',
    message: 'Lost connection to the MySQL server behind Switchyard: it sent what is no answer',
  }),
} as const;
