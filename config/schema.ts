import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { SIDES } from '../core/phase.ts';
import { hostSchema, TLS_MODES, TLS_VERSIONS } from '../core/routing-record.ts';

/**
 * The configuration of a Switchyard: where it listens, where it keeps its state, how much it takes. What is imported
 * is not configuration but a request (engine/api.ts). Sources, later ones win: file, SWITCHYARD_* environment, flags.
 */
const addressSchema = z
  .string()
  .regex(/^(?:\[[0-9a-fA-F:]+\]|[^:[\]]+):\d{1,5}$/, 'HOST:PORT, for example 127.0.0.1:3306')
  .transform((text) => {
    const colon = text.lastIndexOf(':');
    return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
  })
  .refine(({ port }) => port <= 65_535, 'the port is 65535 at most');
export type ListenAddress = z.infer<typeof addressSchema>;

/** A server of ours by name of file, since certificates and keys live in files on the operator's machine. */
const serverFileSchema = z.strictObject({
  host: hostSchema,
  port: z.int().min(1).max(65535).default(3306),
  user: z.string().min(1),
  password: z.string().default(''),
  tls: z
    .strictObject({
      mode: z.enum(TLS_MODES).default('preferred'),
      caFile: z.string().optional(),
      certFile: z.string().optional(),
      keyFile: z.string().optional(),
      serverName: z.string().optional(),
      minVersion: z.enum(TLS_VERSIONS).default('TLSv1.2'),
    })
    .prefault({}),
});

const keyPairSchema = z.strictObject({ certFile: z.string(), keyFile: z.string() });

const networkSchema = z.string().refine((text) => {
  const [address = '', bits, ...more] = text.split('/');
  const bitsMax = isIP(address) === 6 ? 128 : 32;
  return (
    isIP(address) !== 0 && more.length === 0 && (bits === undefined || (/^\d+$/.test(bits) && Number(bits) <= bitsMax))
  );
}, 'an IP address or a network, for example 10.0.0.0/8');

const accountSchema = z.strictObject({ user: z.string().min(1), password: z.string() });

/** A user whom the proxy checks by itself, with the account that it has on each side where that is another one. */
const proxyUserSchema = z.strictObject({
  name: z.string().min(1),
  password: z.string().min(1),
  source: accountSchema.optional(),
  target: accountSchema.optional(),
});

export const configSchema = z.strictObject({
  /** State store, control socket, generated certificates and key. */
  dataDir: z.string().default('./data'),
  proxy: z
    .strictObject({
      /** Where applications connect for primary traffic. */
      listen: addressSchema.prefault('127.0.0.1:6033'),
      /** Where they connect for replica traffic; null: none, only the `@replica` suffix. */
      replicaListen: addressSchema.nullable().prefault('127.0.0.1:6034'),
      workers: z
        .int()
        .min(1)
        .max(64)
        .prefault(Math.max(1, availableParallelism() - 1)),
      /** `batch`: where threads wait for processors, workers let others run on and find more to do at once; on Linux (ADR 29). */
      scheduling: z.enum(['batch', 'normal']).default('batch'),
      /** Certificate for clients; made by ourselves where none is given. */
      tls: z
        .strictObject({
          certFile: z.string().optional(),
          keyFile: z.string().optional(),
          required: z.boolean().default(false),
          minVersion: z.enum(['TLSv1.2', 'TLSv1.3']).default('TLSv1.2'),
        })
        .prefault({}),
      /** Of each worker, with or without a login. */
      maxConnections: z.int().min(1).max(100_000).default(10_000),
      maxConnectionsPerAddress: z.int().min(1).nullable().default(null),
      maxConnectionsPerUser: z.int().min(1).nullable().default(null),
      /** What the proxy proves itself with to the servers of a side that ask for a client certificate. */
      serverCertificates: z
        .strictObject({ source: keyPairSchema.optional(), target: keyPairSchema.optional() })
        .prefault({}),
      /** A unix socket for primary traffic beside the port. */
      socket: z.string().nullable().default(null),
      /** Load balancers that begin with a PROXY protocol header; they have to. */
      proxyProtocolFrom: z.array(networkSchema).default([]),
      /** Sides whose servers are told the client's address with a PROXY protocol header. */
      proxyProtocolTo: z.array(z.enum(SIDES)).default([]),
      /** Users checked by the proxy; all others are asked for their password, which the server checks. */
      users: z.array(proxyUserSchema).default([]),
      /** Users of clients that know mysql_native_password only: the server's challenge is relayed, such sessions cannot move. */
      relayedUsers: z.array(z.string()).default([]),
      /** Failed logins within a minute after which an address is refused for the rest of it. */
      maxFailedLogins: z.int().min(1).max(1_000_000).default(100),
      /** Longest time for a client to log in, ms. */
      handshakeTimeoutMs: z.int().min(100).max(600_000).default(10_000),
      /** An idle session ends after this long, ms; null: when the server's wait_timeout says so. */
      idleTimeoutMs: z.int().min(100).max(2_592_000_000).nullable().default(null),
      /** A client that takes nothing of what waits for it ends after this long, ms, or after its net_write_timeout if that is longer. */
      clientStallTimeoutMs: z.int().min(100).max(86_400_000).default(600_000),
      /** A client that is silent for this long is asked whether it is still there (TCP keep-alive), ms. */
      keepAliveMs: z.int().min(1000).max(86_400_000).default(60_000),
      /** How long sessions get to reach their boundary when a worker is to end, ms; then they are ended where they are. */
      drainTimeoutMs: z.int().min(0).max(86_400_000).default(10_000),
      /** Longest wait of a held session before it gets an error, ms; after the fence there is no such limit (I6). */
      holdTimeoutMs: z.int().min(100).max(600_000).default(30_000),
    })
    .prefault({}),
  admin: z
    .strictObject({
      listen: addressSchema.prefault('127.0.0.1:6080'),
      /** Required unless `listen` is a loopback address. */
      token: z.string().min(16, 'at least 16 characters').optional(),
    })
    .prefault({}),
  /** Where imports go, unless the request names another target. */
  target: serverFileSchema.optional(),
  log: z.strictObject({ level: z.enum(['debug', 'info', 'warn', 'error']).default('info') }).prefault({}),
});
export type Config = z.infer<typeof configSchema>;
