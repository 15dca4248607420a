import { z } from 'zod';
import { SIDES, type Side } from './phase.ts';

/**
 * The one record that decides where application traffic goes. It changes only by compare-and-set on `epoch` (I6);
 * every proxy watches it and acknowledges each epoch. It holds no credentials.
 */
export const TLS_MODES = ['disabled', 'preferred', 'required', 'verify_ca', 'verify_identity'] as const;
export const TLS_VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;

/** How to speak TLS to a server, with MySQL's own mode names. `ca` is PEM text. */
export const tlsOptionsSchema = z.strictObject({
  mode: z.enum(TLS_MODES).default('preferred'),
  ca: z.string().optional(),
  serverName: z.string().optional(),
  minVersion: z.enum(TLS_VERSIONS).default('TLSv1.2'),
});

/** Of what people say. A host that does not answer is named in errors, so that there may be no credentials in it. */
export const hostSchema = z
  .string()
  .regex(/^[^\s@/]+$/, 'the name or address of a host, without user, password, or path');

/** Where a server listens. */
export const endpointSchema = z.strictObject({
  host: z.string().min(1),
  port: z.int().min(1).max(65535).default(3306),
  tls: tlsOptionsSchema.prefault({}),
});
export type Endpoint = z.infer<typeof endpointSchema>;

const sideSchema = z.enum(SIDES);
const sideEndpointsSchema = z.strictObject({ primary: endpointSchema, replica: endpointSchema.nullable() });

/** `hold` names the listener whose sessions take no new command until the next epoch. */
export const HOLDS = ['none', 'replica', 'primary', 'all'] as const;
export type Hold = (typeof HOLDS)[number];

export const routingRecordSchema = z.strictObject({
  epoch: z.int().nonnegative(),
  importId: z.string(),
  /** The imported schema, under the same name on both sides. */
  database: z.string(),
  primary: sideSchema,
  replica: sideSchema,
  hold: z.enum(HOLDS),
  /** Wall clock, ms since the epoch: a proxy that reaches it while `fenced` is false releases on its own. */
  deadlineMs: z.number().nullable(),
  /** Once true a held proxy waits for the next epoch, however long that takes (I6). */
  fenced: z.boolean(),
  endpoints: z.strictObject({ source: sideEndpointsSchema, target: sideEndpointsSchema }),
});
export type RoutingRecord = z.infer<typeof routingRecordSchema>;

/** No hold: traffic goes where the record says. */
export const RELEASED = { hold: 'none', deadlineMs: null, fenced: false } as const;

/** The two kinds of traffic; the application chooses by listener or by a suffix on the database name. */
export const ROLES = ['primary', 'replica'] as const;
export type Role = (typeof ROLES)[number];

/** Which side serves `role` now. */
export function sideOf(record: RoutingRecord, role: Role): Side {
  return role === 'primary' ? record.primary : record.replica;
}

/** The server that serves `role` on `side`: without a replica host, its primary serves replica traffic. */
export function endpointOfSide(record: RoutingRecord, side: Side, role: Role): Endpoint {
  const endpoints = record.endpoints[side];
  return role === 'replica' ? (endpoints.replica ?? endpoints.primary) : endpoints.primary;
}

function isHeld(record: RoutingRecord, role: Role): boolean {
  return record.hold === 'all' || record.hold === role;
}

/**
 * Whether a proxy that ended the hold of `releasedEpoch` by itself, or of none (-1), keeps `role` still. A proxy may do
 * so once the deadline passed, but not once the record says `fenced`: what it would let through could be lost (I6).
 */
export function keepsStill(record: RoutingRecord, role: Role, releasedEpoch: number): boolean {
  return isHeld(record, role) && (record.fenced || record.epoch !== releasedEpoch);
}

/** Whether the deadline of `record` may still end its hold. */
export function mayReleaseItself({ hold, fenced, deadlineMs, epoch }: RoutingRecord, releasedEpoch: number): boolean {
  return hold !== 'none' && !fenced && deadlineMs !== null && epoch !== releasedEpoch;
}
