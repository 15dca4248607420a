import { z } from 'zod';

const OBJECT_KINDS = ['trigger', 'event', 'view', 'function', 'procedure'] as const;

export const objectNameSchema = z.strictObject({ kind: z.enum(OBJECT_KINDS), name: z.string() });
export type ObjectName = z.infer<typeof objectNameSchema>;

/**
 * What belongs to a schema and is no table, as its server shows it. All bytes are as `Bytes` (one character a byte): the
 * definition is in `charsetClient`, in which it has to be given to a server again.
 */
export const storedObjectSchema = z.strictObject({
  kind: z.enum(OBJECT_KINDS),
  name: z.string(),
  /** The table of a trigger. */
  table: z.string().nullable(),
  /** `CREATE DEFINER=… …`. */
  createSql: z.string(),
  /** Null for views, which do not depend on it. */
  sqlMode: z.string().nullable(),
  charsetClient: z.string(),
  collationConnection: z.string(),
  /** Of events: altering one without it would make it ours. */
  definer: z.strictObject({ user: z.string(), host: z.string() }).nullable(),
  /** Of events; the time zone that their schedule is meant in. */
  timeZone: z.string().nullable(),
  enabled: z.boolean(),
});
export type StoredObject = z.infer<typeof storedObjectSchema>;

/** Triggers and events belong to the primary side, and to it alone: see README.md. */
export const activeObjectsSchema = z.strictObject({
  triggers: z.array(storedObjectSchema),
  events: z.array(storedObjectSchema),
});
export type ActiveObjects = z.infer<typeof activeObjectsSchema>;

export const NO_ACTIVE_OBJECTS: ActiveObjects = { triggers: [], events: [] };
