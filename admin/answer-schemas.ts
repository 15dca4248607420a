import { z } from 'zod';
import { ERROR_TABLE, type ErrorCode } from '../core/error-table.ts';
import { PHASES, SIDES } from '../core/phase.ts';
import { ROLES } from '../core/routing-record.ts';
import type { FleetReport, SessionView } from '../core/control/protocol.ts';
import { importOptionsSchema, replicaHostSchema } from '../engine/api.ts';
import type {
  Finding,
  ImportView,
  ServerFacts,
  ConflictView,
  StrayApplyReport,
  StrayWritesView,
  StrayWriteView,
  SwitchReport,
  UsersApplyReport,
  UsersScript,
  UsersView,
  ValidationReport,
  VerifyRepairReport,
} from '../engine/api.ts';
import type { LogEntry, Readiness } from './backend.ts';
import type { LagSample } from './lag-history.ts';
import type { Problem } from './problem.ts';

/**
 * The answers of engine/api.ts as schemas, for OpenAPI and for tests. Annotated with the types they mirror, so that a
 * field added there and forgotten here does not compile.
 */
const side = z.enum(SIDES);
const count = z.int().nonnegative();
const errorCode = z.enum(Object.keys(ERROR_TABLE) as [ErrorCode, ...ErrorCode[]]);
const details = z.record(z.string(), z.unknown());

export const serverFactsSchema: z.ZodType<ServerFacts> = z.object({
  flavor: z.enum(['mysql', 'mariadb']),
  version: z.string(),
  serverUuid: z.string(),
});

export const findingSchema: z.ZodType<Finding> = z.object({
  code: z.string(),
  severity: z.enum(['error', 'warning', 'info']),
  skippable: z.boolean(),
  side,
  subject: z.string().nullable(),
  message: z.string(),
  fix: z.string(),
});

export const validationReportSchema: z.ZodType<ValidationReport> = z.object({
  ok: z.boolean(),
  source: serverFactsSchema.nullable(),
  target: serverFactsSchema.nullable(),
  findings: z.array(findingSchema),
  tables: z.array(z.object({ name: z.string(), rowsEstimate: count, bytes: count })),
});

const sideView = z.object({
  host: z.string(),
  port: z.int(),
  user: z.string().nullable(),
  facts: serverFactsSchema.nullable(),
});

const tableView = z.object({
  name: z.string(),
  rowsTotal: count,
  rowsCopied: count,
  state: z.enum(['waiting', 'copying', 'indexing', 'copied']),
  etaMs: z.number().nullable(),
});

const streamView = z.object({
  direction: z.enum(['forward', 'reverse']),
  state: z.enum(['stopped', 'catching_up', 'running', 'failed']),
  lagMs: z.number().nullable(),
  position: z.string().nullable(),
  transactionsApplied: count,
  rowChangesApplied: count,
});

const verifyTableView = z.object({
  name: z.string(),
  state: z.enum(['waiting', 'verifying', 'equal', 'different']),
  rows: count,
  chunksDone: count,
  chunksTotal: count,
  differences: z.array(
    z.object({
      key: z.string(),
      kind: z.enum(['missing', 'extra', 'different']),
      columns: z.array(z.string()),
      values: z.array(z.object({ column: z.string(), source: z.string().nullable(), target: z.string().nullable() })),
    }),
  ),
  differencesTotal: count,
  anew: z.boolean(),
});

const verifyView = z.object({
  state: z.enum(['running', 'paused', 'equal', 'different', 'failed', 'stale', 'rechecking']),
  reason: z.string().nullable(),
  startedAtMs: z.number(),
  finishedAtMs: z.number().nullable(),
  rows: count,
  tables: z.array(verifyTableView),
  etaMs: z.number().nullable(),
  throttled: z.string().nullable(),
  rowsPerSecond: count.nullable(),
  primary: side,
  position: z.string().nullable(),
  recheck: z
    .object({ keys: count, tables: z.array(z.string()), behindMs: z.number().nullable(), compared: count })
    .nullable(),
});

const strayWritesView: z.ZodType<StrayWritesView> = z.object({
  count,
  lastAtMs: z.number().nullable(),
  unapplied: count,
  watch: z.enum(['watching', 'catching_up', 'failed', 'stopped']),
});

const strayImage = z.record(z.string(), z.union([z.string(), z.object({ hex: z.string() }), z.null()])).nullable();

export const strayWriteViewSchema: z.ZodType<StrayWriteView> = z.object({
  id: count,
  gtid: z.string(),
  committedAtMs: z.number(),
  table: z.string(),
  kind: z.enum(['insert', 'update', 'delete', 'ddl', 'statement']),
  key: z.string(),
  before: strayImage,
  after: strayImage,
  statement: z.string().nullable(),
  applied: z.boolean(),
});

const conflictsView = z.object({ count, lastAtMs: z.number().nullable() });

export const conflictViewSchema: z.ZodType<ConflictView> = z.object({
  id: count,
  gtid: z.string(),
  committedAtMs: z.number(),
  foundAtMs: z.number(),
  table: z.string(),
  kind: z.enum(['insert', 'update', 'delete']),
  before: strayImage,
  after: strayImage,
  source: z.array(z.object({ key: strayImage.unwrap(), row: strayImage })),
  reason: z.string(),
});

export const strayApplyReportSchema: z.ZodType<StrayApplyReport> = z.object({
  applied: count,
  conflicts: z.array(z.object({ id: count, reason: z.string() })),
  already: count,
  strayWrites: strayWritesView.nullable(),
});

export const usersViewSchema: z.ZodType<UsersView> = z.object({
  from: side,
  to: side,
  users: z.array(
    z.object({
      account: z.string(),
      isRole: z.boolean(),
      state: z.enum(['same', 'different', 'absent']),
      obstacle: z.string().nullable(),
      differences: z.array(z.string()),
      left: z.array(z.string()),
      otherHosts: z.array(z.string()),
    }),
  ),
  serverWide: z.array(z.string()),
});

export const usersApplyReportSchema: z.ZodType<UsersApplyReport> = z.object({
  created: z.array(z.string()),
  refused: z.array(z.object({ account: z.string(), statement: z.string(), reason: z.string() })),
  view: usersViewSchema,
});

export const usersScriptAnswerSchema: z.ZodType<UsersScript> = z.object({
  script: z.string(),
  hasSecrets: z.boolean(),
});

export const importViewSchema: z.ZodType<ImportView> = z.object({
  id: z.string(),
  phase: z.enum(PHASES),
  database: z.string(),
  source: sideView,
  target: sideView,
  replicaHost: replicaHostSchema.nullable(),
  tables: z.array(tableView),
  streams: z.array(streamView),
  verify: verifyView.nullable(),
  strayWrites: strayWritesView.nullable(),
  conflicts: conflictsView.nullable(),
  traffic: z.object({ primary: side, replica: side, epoch: count }),
  switches: z.array(
    z.object({
      kind: z.enum(['replicas', 'primaries']),
      to: side,
      atMs: z.number(),
      pauseMs: z.number(),
      fence: z.string(),
      forced: z.array(z.string()),
    }),
  ),
  findings: z.array(findingSchema),
  options: importOptionsSchema,
  error: z
    .object({
      code: errorCode,
      message: z.string(),
      details,
      fromPhase: z.enum(PHASES),
      atMs: z.number(),
      remedy: z.string(),
    })
    .nullable(),
  createdAtMs: z.number(),
  createdBy: z.string(),
  updatedAtMs: z.number(),
  copy: z.object({
    rows: count,
    bytes: count,
    startedAtMs: z.number().nullable(),
    finishedAtMs: z.number().nullable(),
  }),
});

export const switchReportSchema: z.ZodType<SwitchReport> = z.object({
  switched: z.boolean(),
  refusals: z.array(z.object({ code: z.string(), message: z.string(), forceable: z.boolean(), remedy: z.string() })),
  warnings: z.array(z.string()),
  pauseMs: z.number().nullable(),
  hold: z.object({ fromMs: z.number(), toMs: z.number(), steps: z.record(z.string(), z.number()) }).nullable(),
  fence: z.string(),
  view: importViewSchema,
});

export const verifyRepairReportSchema: z.ZodType<VerifyRepairReport> = z.object({
  repaired: count,
  already: count,
  left: z.array(z.object({ table: z.string(), key: z.string(), reason: z.string() })),
  view: importViewSchema,
});

export const logEntrySchema: z.ZodType<LogEntry> = z.object({
  importId: z.string().nullable(),
  atMs: z.number(),
  level: z.enum(['debug', 'info', 'warn', 'error']),
  message: z.string(),
  // exactOptional: an absent property, never one that is undefined.
  details: details.exactOptional(),
});

const pinnedSession = z.object({
  sessionId: z.string(),
  user: z.string(),
  address: z.string(),
  reasons: z.array(z.string()),
});

export const fleetReportSchema: z.ZodType<FleetReport> = z.object({
  reached: z.boolean(),
  proxies: z.array(
    z.object({
      instanceId: z.string(),
      // -1: the proxy has no route yet.
      epoch: z.int(),
      state: z.enum(['applied', 'drained']),
      sessions: count,
      undrained: z.array(pinnedSession),
    }),
  ),
});

export const sessionViewSchema: z.ZodType<SessionView> = z.object({
  sessionId: z.string(),
  instanceId: z.string(),
  user: z.string(),
  address: z.string(),
  database: z.string().nullable(),
  role: z.enum(ROLES),
  side: side.nullable(),
  state: z.enum(['idle', 'busy', 'held', 'moving', 'closing']),
  inTransaction: z.boolean(),
  transactionAgeMs: z.number().nullable(),
  pins: z.array(z.string()),
  bytesIn: count,
  bytesOut: count,
  ageMs: z.number(),
});

export const lagSampleSchema: z.ZodType<LagSample> = z.object({
  ageMs: z.number(),
  forwardMs: z.number().nullable(),
  reverseMs: z.number().nullable(),
});

export const readinessSchema: z.ZodType<Readiness> = z.object({ ready: z.boolean(), reasons: z.array(z.string()) });

export const problemSchema: z.ZodType<Problem> = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: errorCode,
  remedy: z.string(),
  retryable: z.boolean(),
  details,
});
