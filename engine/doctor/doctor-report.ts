import { z } from 'zod';
import { PHASES, SIDES } from '../../core/phase.ts';

const sideSchema = z.enum(SIDES);

/** What is found on one server. */
const serverStateSchema = z.object({
  answers: z.boolean(),
  /** Why not, in the server's words. */
  reason: z.string().nullable(),
  readOnly: z.boolean(),
  readOnlyPersisted: z.boolean(),
  /** Of the fence that should stand there, in all its parts; null: none should. */
  fenceStands: z.boolean().nullable(),
  fenceTriggers: z.array(z.string()),
  lockedAccounts: z.array(z.string()),
  /** Positions of the streams that are applied there: `_switchyard.progress`. */
  progress: z.array(z.object({ direction: z.string(), position: z.string() })),
});
export type ServerState = z.infer<typeof serverStateSchema>;

export const doctorReportSchema = z.object({
  importId: z.string(),
  /** Nothing is wrong, or everything that was has been repaired. */
  healthy: z.boolean(),
  /** A request that runs: what it changes may look wrong for a moment. */
  busyWith: z.string().nullable(),
  phase: z.enum(PHASES),
  route: z.object({
    epoch: z.number(),
    primary: sideSchema,
    replica: sideSchema,
    hold: z.string(),
    fenced: z.boolean(),
  }),
  intent: z.object({ switchId: z.string(), kind: z.string(), to: sideSchema, fence: z.string() }).nullable(),
  /** The fence that stands by the import's own account, and one that should be gone. */
  fence: z.object({ side: sideSchema, kind: z.string() }).nullable(),
  leftFence: z.object({ side: sideSchema, kind: z.string() }).nullable(),
  servers: z.object({ source: serverStateSchema, target: serverStateSchema }).nullable(),
  streams: z.array(z.object({ direction: z.string(), state: z.string(), lagMs: z.number().nullable() })),
  strayWrites: z.object({ count: z.number(), unapplied: z.number(), watch: z.string() }).nullable(),
  proxies: z.array(z.object({ instanceId: z.string(), epoch: z.number(), sessions: z.number() })),
  findings: z.array(
    z.object({
      code: z.string(),
      severity: z.enum(['error', 'warning']),
      side: sideSchema.nullable(),
      message: z.string(),
      meaning: z.string(),
      remedy: z.string(),
      /** What a repair does; null: only a person can decide. */
      repair: z.string().nullable(),
      outcome: z.enum(['found', 'repaired', 'failed']),
    }),
  ),
});
export type DoctorReport = z.infer<typeof doctorReportSchema>;
