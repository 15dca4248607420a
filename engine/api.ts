import { z } from 'zod';
import type { Phase, Side } from '../core/phase.ts';
import { hostSchema, TLS_MODES, TLS_VERSIONS } from '../core/routing-record.ts';
import type { SerializedError } from '../core/errors.ts';
import type { DoctorReport } from './doctor/doctor-report.ts';

/**
 * What the engine offers, and the shapes that people see through HTTP, CLI and dashboard. Requests are zod schemas,
 * since they arrive from outside; answers are types, since we make them.
 */

/** A server with the credentials of our own user there. `key`, `password` are secrets: sealed at rest, never shown. */
export const serverSchema = z.strictObject({
  host: hostSchema,
  port: z.int().min(1).max(65535).default(3306),
  user: z.string().min(1),
  password: z.string().default(''),
  tls: z
    .strictObject({
      mode: z.enum(TLS_MODES).default('preferred'),
      ca: z.string().optional(),
      cert: z.string().optional(),
      key: z.string().optional(),
      serverName: z.string().optional(),
      minVersion: z.enum(TLS_VERSIONS).default('TLSv1.2'),
    })
    .prefault({}),
});
export type ServerDefinition = z.infer<typeof serverSchema>;

export const DDL_POLICIES = ['STOP', 'IGNORE', 'EXEC', 'EXEC_IGNORE'] as const;
/** How application writes on the old primary are refused after a switch; `auto` takes the strongest that hits nobody else. */
export const FENCES = ['auto', 'read_only', 'triggers', 'accounts', 'lock_tables', 'none'] as const;

export const replicaHostSchema = z.strictObject({
  host: hostSchema,
  port: z.int().min(1).max(65535).default(3306),
});
export type ReplicaHost = z.infer<typeof replicaHostSchema>;

export const DRAIN_POLICIES = ['abort', 'close-sessions'] as const;

export const REVERSE_MODES = ['off', 'from_switch', 'always'] as const;
export const USER_MODES = ['ignore', 'report', 'create'] as const;
/** Longest wait for open transactions at a switch, ms. */
const drainBudgetMs = z.int().min(100).max(60_000);
/** Longest pause that an application may see at a switch, ms. */
const pauseDeadlineMs = z.int().min(500).max(120_000);

export const importOptionsSchema = z.strictObject({
  /** Add secondary indexes after the rows instead of before. */
  deferIndexes: z.boolean().default(true),
  ddl: z.enum(DDL_POLICIES).default('STOP'),
  /** Connections used for the copy, on each side. */
  connections: z.int().min(1).max(100).default(4),
  /** What is read and written at a time, about. */
  chunkBytes: z
    .int()
    .min(1024)
    .max(256 * 1024 * 1024)
    .default(16 * 1024 * 1024),
  /** No chunk of the copy begins while the server that is read from is past one of these; null: it does not matter. */
  throttle: z
    .strictObject({
      /** Milliseconds that SELECT 1 takes there. */
      sourceLatencyMs: z.int().min(1).max(60_000).nullable().default(null),
      /** Old row versions that wait to be purged there (needs PROCESS). */
      historyLengthMax: z
        .int()
        .min(1)
        .max(2 ** 40)
        .nullable()
        .default(null),
      /** How far behind it is, where it is a replica (needs REPLICATION CLIENT). */
      replicaLagMs: z.int().min(1000).max(86_400_000).nullable().default(null),
    })
    .prefault({}),
  fence: z.enum(FENCES).default('auto'),
  /**
   * When the target's writes go to the source: `off` never, for a source that must not be written to, and then there is no
   * switching back; `from_switch` while the target is primary; `always` also before, where the source wins (ADR 19).
   */
  reverse: z.enum(REVERSE_MODES).default('from_switch'),
  /**
   * Accounts with privileges on the schema: `report` names those that the target lacks or has otherwise, `create` creates the
   * absent ones there with their password hashes, `ignore` does not look at them (ADR 24).
   */
  users: z.enum(USER_MODES).default('report'),
  /** Import although validation found errors that can be skipped; all tables are imported then. */
  skipValidationErrors: z.boolean().default(false),
  /**
   * How long proxies may open connections ahead of a switch, ms; traffic goes on meanwhile. The busiest sessions come first;
   * those that are left log in within the pause.
   */
  prepareBudgetMs: z.int().min(1000).max(600_000).default(30_000),
  drainBudgetMs: drainBudgetMs.default(2000),
  /**
   * Sessions whose transaction outlasts that: `abort` gives the switch up after three attempts; `close-sessions` ends
   * them, with an error that says so, in the last one.
   */
  drainPolicy: z.enum(DRAIN_POLICIES).default('abort'),
  pauseDeadlineMs: pauseDeadlineMs.default(5000),
  /** A switch is refused while replication is further behind than this, ms. */
  maxLagMs: z.int().min(100).max(600_000).default(10_000),
});
export type CopyThrottle = ImportOptions['throttle'];
export type ImportOptions = z.infer<typeof importOptionsSchema>;

export const importRequestSchema = z.strictObject({
  /** Names the import in every command. */
  id: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits and dashes, starting with a letter or digit'),
  source: serverSchema,
  /** Left out: the `target` of the configuration. */
  target: serverSchema.optional(),
  /** The schema to import; it has the same name on the target. */
  database: z.string().min(1).max(64),
  tables: z.union([z.literal('all'), z.array(z.string().min(1)).min(1)]).default('all'),
  replicaHost: replicaHostSchema.nullable().default(null),
  options: importOptionsSchema.prefault({}),
});
export type ImportRequest = z.infer<typeof importRequestSchema>;

export interface Finding {
  /** Stable, upper case; its page section is docs/troubleshooting.md#<code in lower case>. */
  code: string;
  /** An `error` stops the import unless `skippable` and skipped; a `warning` stays visible. */
  severity: 'error' | 'warning' | 'info';
  skippable: boolean;
  side: Side;
  /** The table, user or variable that it is about. */
  subject: string | null;
  message: string;
  /** What to do, with the statement to run where there is one. */
  fix: string;
}

export interface ServerFacts {
  flavor: 'mysql' | 'mariadb';
  version: string;
  serverUuid: string;
}

export interface ValidationReport {
  ok: boolean;
  source: ServerFacts | null;
  target: ServerFacts | null;
  findings: Finding[];
  tables: { name: string; rowsEstimate: number; bytes: number }[];
}

export interface TableView {
  name: string;
  /** Exact once copied; an estimate of the server before. */
  rowsTotal: number;
  rowsCopied: number;
  state: 'waiting' | 'copying' | 'indexing' | 'copied';
  etaMs: number | null;
}

export interface StreamView {
  direction: 'forward' | 'reverse';
  state: 'stopped' | 'catching_up' | 'running' | 'failed';
  /** From commit at its origin to applied, ms; null while unknown. */
  lagMs: number | null;
  position: string | null;
  /** Since the engine started. */
  transactionsApplied: number;
  rowChangesApplied: number;
}

export const conflictListSchema = z.strictObject({
  /** Only ids greater than this. */
  after: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(1000).default(200),
});
export type ConflictListRequest = z.infer<typeof conflictListSchema>;

export interface ConflictsView {
  /** Row changes that are kept in `_switchyard.conflicts`. */
  count: number;
  lastAtMs: number | null;
}

/** A write on the target that lost against the source, while the source was primary (`reverse: always`). */
export interface ConflictView {
  id: number;
  gtid: string;
  committedAtMs: number;
  foundAtMs: number;
  table: string;
  kind: 'insert' | 'update' | 'delete';
  before: StrayImage | null;
  after: StrayImage | null;
  /** What the source had for its keys, and the target has since. */
  source: { key: StrayImage; row: StrayImage | null }[];
  reason: string;
}

export interface VerifyTableView {
  name: string;
  state: 'waiting' | 'verifying' | 'equal' | 'different';
  rows: number;
  chunksDone: number;
  chunksTotal: number;
  /** The first differing rows, values cut to 64 bytes. */
  differences: VerifyDifferenceView[];
  differencesTotal: number;
  /** Whether DDL has changed it since the verification began: it is compared by itself, as a whole, behind the statement. */
  anew: boolean;
}

export interface VerifyDifferenceView {
  key: string;
  /** Of the row on the target. */
  kind: 'missing' | 'extra' | 'different';
  /** Those that differ; empty for a row that is on one side only. */
  columns: string[];
  /** Null: the row is not there. */
  values: { column: string; source: string | null; target: string | null }[];
}

export interface VerifyRepairReport {
  /** Rows that are what they are on the source, by this. */
  repaired: number;
  /** Rows that had become the same without it. */
  already: number;
  /** Rows that still differ. */
  left: { table: string; key: string; reason: string }[];
  view: ImportView;
}

export interface VerifyView {
  /**
   * `stale`: it was `equal` once, and nobody compares what was written later. `rechecking`: it was `equal`, and is again once those of
   * `tables` that are `waiting` or `verifying` have been compared anew, which DDL has changed since, or what was written while
   * nobody compared.
   */
  state: 'running' | 'paused' | 'equal' | 'different' | 'failed' | 'stale' | 'rechecking';
  /** Why it failed, is stale, or is compared anew. */
  reason: string | null;
  startedAtMs: number;
  finishedAtMs: number | null;
  rows: number;
  tables: VerifyTableView[];
  /** Of the pass, by the speed since it began or went on; null while unknown. */
  etaMs: number | null;
  /** Why no chunk begins for now. */
  throttled: string | null;
  /** At most so many are compared in a second; null: no limit. */
  rowsPerSecond: number | null;
  /** The side whose writes are compared with what the other side has of them: the primary, while the verification is kept true. */
  primary: Side;
  /** Everything up to here in the history of that side has been compared; null while that is not known. */
  position: string | null;
  /** Null where nobody compares what is written since. */
  recheck: VerifyRecheckView | null;
}

/** Rows that were written since they were compared: compared again in the background, all the time. */
export interface VerifyRecheckView {
  /** Rows that wait for it. */
  keys: number;
  /** Tables that are compared as a whole: too many of their rows were written to name them. */
  tables: string[];
  /** How long the oldest of all these waits, ms. */
  behindMs: number | null;
  /** Rows compared again so far. */
  compared: number;
}

export const verifyRequestSchema = z.strictObject({
  /** At most so many rows are compared in a second; null: no limit but the import's `throttle`. */
  rowsPerSecond: z.int().min(1).max(1_000_000_000).nullable().default(null),
});
export type VerifyRequest = z.infer<typeof verifyRequestSchema>;

export interface SwitchView {
  kind: 'replicas' | 'primaries';
  to: Side;
  atMs: number;
  /** From the hold to the release, ms. */
  pauseMs: number;
  fence: string;
  /** Codes of the refusals that it was forced over. */
  forced: string[];
}

/** Writes that reached the old primary after a switch, in row changes. */
export interface StrayWritesView {
  count: number;
  lastAtMs: number | null;
  /** Not applied to the new primary. */
  unapplied: number;
  /** `failed`: the log of the old primary cannot be read; it is tried again. */
  watch: 'watching' | 'catching_up' | 'failed' | 'stopped';
}

/** Text, or bytes where it is none. */
export type StrayImage = Record<string, string | { hex: string } | null>;

export interface StrayWriteView {
  id: number;
  gtid: string;
  committedAtMs: number;
  /** Empty for statements. */
  table: string;
  /** `statement`: rows that were logged as a statement; it is kept, not what it changed. */
  kind: 'insert' | 'update' | 'delete' | 'ddl' | 'statement';
  key: string;
  before: StrayImage | null;
  after: StrayImage | null;
  statement: string | null;
  applied: boolean;
}

export const strayListSchema = z.strictObject({
  /** Only ids greater than this. */
  after: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(1000).default(200),
  unapplied: z.stringbool().default(false),
});
export type StrayListRequest = z.infer<typeof strayListSchema>;

export const strayApplySchema = z.strictObject({
  /** Ids of stray writes, or all that were not applied. */
  ids: z.union([z.literal('all'), z.array(z.int().min(1)).min(1).max(10_000)]),
});
export type StrayApplyRequest = z.infer<typeof strayApplySchema>;

export interface StrayApplyReport {
  applied: number;
  /** Left as they were, with the reason. */
  conflicts: { id: number; reason: string }[];
  /** Of them that were applied before. */
  already: number;
  strayWrites: StrayWritesView | null;
}

/** An account or role with privileges on the schema, as the side has it that is not primary. No secrets. */
export interface UserView {
  /** `'app'@'%'`. */
  account: string;
  isRole: boolean;
  state: 'same' | 'different' | 'absent';
  /** Why Switchyard cannot create it with the password that it has; null where it can, or it is there. */
  obstacle: string | null;
  /** Of one that is there. Nothing is changed in it. */
  differences: string[];
  /** What it has beside the schema, which is not brought. */
  left: string[];
  /** Accounts of the same name for other hosts that are there. */
  otherHosts: string[];
}

export interface UsersView {
  from: Side;
  to: Side;
  users: UserView[];
  /** Accounts that reach the schema by privileges on the whole server only: not brought. */
  serverWide: string[];
}

export interface RefusedUserStatement {
  account: string;
  /** Without a hash. */
  statement: string;
  reason: string;
}

export interface UsersApplyReport {
  created: string[];
  refused: RefusedUserStatement[];
  view: UsersView;
}

export const usersScriptSchema = z.strictObject({
  /** With the password hashes, which are secrets; else there are blanks to be filled in. */
  hashes: z.boolean().default(false),
});
export type UsersScriptRequest = z.infer<typeof usersScriptSchema>;

export interface UsersScript {
  script: string;
  hasSecrets: boolean;
}

/** What people see of an import. No secrets. */
export interface ImportView {
  id: string;
  phase: Phase;
  database: string;
  source: { host: string; port: number; user: string | null; facts: ServerFacts | null };
  target: { host: string; port: number; user: string | null; facts: ServerFacts | null };
  replicaHost: ReplicaHost | null;
  tables: TableView[];
  streams: StreamView[];
  verify: VerifyView | null;
  /** Null unless the old primary is, or was since the engine started, watched. */
  strayWrites: StrayWritesView | null;
  /** Writes on the target that lost against the source; null without `reverse: always`. */
  conflicts: ConflictsView | null;
  /** Which side serves which traffic. */
  traffic: { primary: Side; replica: Side; epoch: number };
  switches: SwitchView[];
  findings: Finding[];
  options: ImportOptions;
  error: (SerializedError & { fromPhase: Phase; atMs: number; remedy: string }) | null;
  createdAtMs: number;
  createdBy: string;
  updatedAtMs: number;
  copy: { rows: number; bytes: number; startedAtMs: number | null; finishedAtMs: number | null };
}

export const switchRequestSchema = z.strictObject({
  kind: z.enum(['replicas', 'primaries']),
  /** Back to the source. */
  back: z.boolean().default(false),
  /** Only the checks: nothing is held, nothing changes. */
  dryRun: z.boolean().default(false),
  /** Go on although there are refusals that may be forced. */
  force: z.boolean().default(false),
  /** For this switch in place of the import's `drainPolicy`. */
  policy: z.enum(DRAIN_POLICIES).optional(),
  /** For this switch in place of the import's. */
  drainBudgetMs: drainBudgetMs.optional(),
  pauseDeadlineMs: pauseDeadlineMs.optional(),
});
export type SwitchRequest = z.infer<typeof switchRequestSchema>;

export interface SwitchRefusal {
  code: string;
  message: string;
  /** Whether `--force` passes it. */
  forceable: boolean;
  /** What the operator does. */
  remedy: string;
}

export interface SwitchReport {
  /** False on a dry run. */
  switched: boolean;
  /** Of a dry run, or what the switch was forced over: a refused switch is an error (SWITCH_REFUSED) with them in its details. */
  refusals: SwitchRefusal[];
  warnings: string[];
  pauseMs: number | null;
  /** When traffic was held, by the wall clock, and when each step of it was done, ms from its beginning. */
  hold: { fromMs: number; toMs: number; steps: Record<string, number> } | null;
  fence: string;
  view: ImportView;
}

export interface Actor {
  /** Who asked: `cli:user@host`, `dashboard`, an API client's name. */
  actor: string;
}

/** Every request; `id` names the import. Each rejects with an AppError. */
export interface EngineApi {
  validate(request: ImportRequest): Promise<ValidationReport>;
  createImport(request: ImportRequest & Actor): Promise<ImportView>;
  listImports(): Promise<ImportView[]>;
  getImport(params: { id: string }): Promise<ImportView>;
  cancelImport(params: { id: string } & Actor): Promise<ImportView>;
  /** Starts a verification; its progress is in the view. */
  verify(params: { id: string } & VerifyRequest & Actor): Promise<ImportView>;
  /** The chunks that are done stay done. */
  pauseVerification(params: { id: string } & Actor): Promise<ImportView>;
  /** Writes the differing rows to the other side as they are on the primary. */
  repairDifferences(params: { id: string } & Actor): Promise<VerifyRepairReport>;
  /** Goes on with one that was paused, or failed on its way. */
  resumeVerification(params: { id: string } & Actor): Promise<ImportView>;
  switchTraffic(params: { id: string } & SwitchRequest & Actor): Promise<SwitchReport>;
  setReplicaHost(params: { id: string; replicaHost: ReplicaHost | null } & Actor): Promise<ImportView>;
  /** `confirm` must be the id of the import. */
  complete(params: { id: string; confirm: string } & Actor): Promise<ImportView>;
  listStrayWrites(params: { id: string } & StrayListRequest): Promise<StrayWriteView[]>;
  /** Applies stray writes to the primary, each where the row is as it was before it; the others are conflicts. */
  applyStrayWrites(params: { id: string } & StrayApplyRequest & Actor): Promise<StrayApplyReport>;
  listConflicts(params: { id: string } & ConflictListRequest): Promise<ConflictView[]>;
  /** Accounts of the primary's side, as the other side has them. */
  listUsers(params: { id: string }): Promise<UsersView>;
  /** Creates there those that are absent and can come along with their passwords. Existing ones are left as they are. */
  createUsers(params: { id: string } & Actor): Promise<UsersApplyReport>;
  /** For the mysql client. */
  usersScript(params: { id: string } & UsersScriptRequest & Actor): Promise<UsersScript>;
  /** What is wrong with an import, its route, its proxies and its servers. */
  doctor(params: { id: string }): Promise<DoctorReport>;
  /** The same, after what can be repaired without a decision has been. */
  repair(params: { id: string } & Actor): Promise<DoctorReport>;
  /** From `error`: go on where it stopped, after the remedy. */
  resume(params: { id: string; ddl?: 'skip' | 'apply' } & Actor): Promise<ImportView>;
}
