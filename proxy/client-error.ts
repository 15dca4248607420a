import type { ErrPacket } from '../core/wire/err-packet.ts';

/** An error that the application is to see, as a MySQL error. */
export class ClientError extends Error {
  override readonly name = 'ClientError';
  readonly packet: ErrPacket;

  constructor(packet: ErrPacket, options?: ErrorOptions) {
    super(packet.message, options);
    this.packet = packet;
  }
}

/** What the proxy itself says to applications: server codes that drivers know, with texts that name the proxy. */
export const CLIENT_ERROR = {
  tooManyConnections: (): ErrPacket => ({
    code: 1040,
    sqlState: '08004',
    message: 'Too many connections to Switchyard',
  }),
  badHandshake: (): ErrPacket => ({ code: 1043, sqlState: '08S01', message: 'Bad handshake' }),
  oldClient: (): ErrPacket => ({
    code: 1251,
    sqlState: '08004',
    message: 'Client does not support the protocol of MySQL 4.1 and later, which Switchyard requires',
  }),
  tlsRequired: (): ErrPacket => ({
    code: 3159,
    sqlState: '08004',
    message: 'Connections using insecure transport are prohibited: Switchyard is configured with proxy.tls.required',
  }),
  noImport: (): ErrPacket => ({
    code: 1105,
    sqlState: '08004',
    message: 'Switchyard does not know where to route yet: no import has been created (switchyard import create)',
  }),
  unreachable: (where: string, why: string): ErrPacket => ({
    code: 1105,
    sqlState: '08S01',
    message: `Switchyard cannot reach the database server ${where}: ${why}`,
  }),
  accessDenied: (user: string): ErrPacket => ({
    code: 1045,
    sqlState: '28000',
    message: `Access denied for user '${user}'`,
  }),
  unsupportedPlugin: (plugin: string): ErrPacket => ({
    code: 1251,
    sqlState: '08004',
    message: `The server's account uses the authentication plugin ${plugin}, which Switchyard does not support`,
  }),
  relayedLogin: (): ErrPacket => ({
    code: 1105,
    sqlState: '08S01',
    message:
      'The login of this session was relayed (proxy.relayedUsers): without its password Switchyard cannot log in elsewhere',
  }),
  tooManyFailures: (address: string): ErrPacket => ({
    code: 1129,
    sqlState: 'HY000',
    message: `Host '${address}' is blocked by Switchyard for a minute because of many failed logins (proxy.maxFailedLogins)`,
  }),
  tooManyOf: (what: string): ErrPacket => ({
    code: 1203,
    sqlState: '42000',
    message: `More connections of ${what} than Switchyard is configured to take`,
  }),
  backendLost: (why: string): ErrPacket => ({
    code: 2013,
    sqlState: '08S01',
    message: `Lost connection to the MySQL server behind Switchyard: ${why}`,
  }),
  moveFailed: (why: string): ErrPacket => ({
    code: 1105,
    sqlState: '08S01',
    message: `Switchyard could not carry this session over to the other database server: ${why}`,
  }),
  notMovable: (reasons: string): ErrPacket => ({
    code: 1105,
    sqlState: '08S01',
    message: `Switchyard switched to another database server and this session could not be carried over: ${reasons}`,
  }),
  closedForSwitch: (): ErrPacket => ({
    code: 1105,
    sqlState: '08S01',
    message:
      'Switchyard ended this session: it kept a switch waiting longer than the drain budget (drainPolicy close-sessions)',
  }),
  heldTooLong: (): ErrPacket => ({
    code: 1105,
    sqlState: '08S01',
    message: 'Switchyard held this session longer than proxy.holdTimeoutMs allows',
  }),
  shutdown: (): ErrPacket => ({
    code: 1053,
    sqlState: '08S01',
    message: 'Server shutdown in progress (Switchyard proxy)',
  }),
  unsupportedCommand: (name: string): ErrPacket => ({
    code: 1235,
    sqlState: '42000',
    message: `Switchyard doesn't support ${name}`,
  }),
  otherRole: (): ErrPacket => ({
    code: 1235,
    sqlState: '42000',
    message: 'The @primary/@replica suffix cannot change within a connection to Switchyard: connect again',
  }),
  unknownThread: (id: string): ErrPacket => ({ code: 1094, sqlState: 'HY000', message: `Unknown thread id: ${id}` }),
  unknownStatement: (id: number, where: string): ErrPacket => ({
    code: 1243,
    sqlState: 'HY000',
    message: `Unknown prepared statement handler (${id}) given to ${where}`,
  }),
  /** ER_NEED_REPREPARE: drivers that know it prepare again. */
  statementLost: (): ErrPacket => ({
    code: 1615,
    sqlState: 'HY000',
    message: 'Prepared statement needs to be re-prepared',
  }),
  malformed: (): ErrPacket => ({ code: 1835, sqlState: 'HY000', message: 'Malformed communication packet.' }),
} as const;
