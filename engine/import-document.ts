import { z } from 'zod';
import { PHASES, SIDES } from '../core/phase.ts';
import { ERROR_TABLE, type ErrorCode } from '../core/error-table.ts';
import {
  FENCES,
  importOptionsSchema,
  replicaHostSchema,
  serverSchema,
  type VerifyTableView,
  type VerifyView,
} from './api.ts';
import { activeObjectsSchema, NO_ACTIVE_OBJECTS, objectNameSchema, type ObjectName } from './objects/stored-object.ts';
import { tlsOptionsSchema } from '../core/routing-record.ts';

/**
 * What the state store keeps of an import (`import/<id>`). Credentials are apart (`secret/<id>`, sealed), so that
 * completing can erase them and nothing that shows a document can show them.
 */
const addressSchema = z.strictObject({
  host: z.string(),
  port: z.int(),
  user: z.string().nullable(),
  tls: tlsOptionsSchema,
});

const factsSchema = z.strictObject({
  flavor: z.enum(['mysql', 'mariadb']),
  version: z.string(),
  serverUuid: z.string(),
});

const findingSchema = z.strictObject({
  code: z.string(),
  severity: z.enum(['error', 'warning', 'info']),
  skippable: z.boolean(),
  side: z.enum(SIDES),
  subject: z.string().nullable(),
  message: z.string(),
  fix: z.string(),
});

const phaseSchema = z.enum(PHASES);

/** A fence and what is needed to take it away; stored before it is raised. */
const fenceSchema = z.enum(FENCES).exclude(['auto']);
const fencedAccountsSchema = z.array(z.strictObject({ user: z.string(), host: z.string() })).default([]);

/** A switch that is under way: written before the hold, removed after its end, read by a restarted engine. */
const intentSchema = z.strictObject({
  switchId: z.string(),
  kind: z.enum(['replicas', 'primaries']),
  to: z.enum(SIDES),
  fromPhase: phaseSchema,
  /** The epoch of the route before the hold. */
  epoch: z.int(),
  fence: fenceSchema,
  /** Accounts that the fence locks, which were not locked before it. */
  fencedAccounts: fencedAccountsSchema,
  /** Our connections to each side, by the servers' ids: what still runs there is ended before anything is undone. */
  threads: z.strictObject({ source: z.array(z.int()), target: z.array(z.int()) }).default({ source: [], target: [] }),
  /** Codes of the refusals that it was forced over. */
  forced: z.array(z.string()).default([]),
  startedAtMs: z.number(),
});
export type SwitchIntent = z.infer<typeof intentSchema>;

export const importDocumentSchema = z.strictObject({
  id: z.string(),
  phase: phaseSchema,
  database: z.string(),
  source: addressSchema,
  target: addressSchema,
  sourceFacts: factsSchema,
  targetFacts: factsSchema,
  replicaHost: replicaHostSchema.nullable(),
  options: importOptionsSchema,
  /** Names of the imported tables. DDL that is replicated changes them. */
  tables: z.array(z.string()),
  /** All tables of the database were asked for: also those that are created while the import goes on. */
  allTables: z.boolean().default(false),
  findings: z.array(findingSchema),
  /** What Switchyard made on the target, noted before it is made: what cancelling removes. */
  created: z.strictObject({
    schema: z.boolean(),
    tables: z.array(z.string()),
    objects: z.array(objectNameSchema).default([]),
    /** Accounts, which stay when the import is cancelled: somebody may use them by then. */
    users: z.array(z.strictObject({ user: z.string(), host: z.string(), side: z.enum(SIDES) })).default([]),
  }),
  /** Where the stream starts: taken before the first row was read. */
  startPosition: z.string().nullable(),
  /** Union of all stamps of the copy: the target is consistent from there on. */
  copiedPosition: z.string().nullable(),
  /** What foreign keys did at the source during the copy, and it did not log, is done on the target (ADR 22). */
  cascadesSettled: z.boolean().default(false),
  copy: z.strictObject({
    rows: z.number(),
    bytes: z.number(),
    /** Rows of each table, once copied. */
    tableRows: z.record(z.string(), z.number()),
    startedAtMs: z.number().nullable(),
    finishedAtMs: z.number().nullable(),
  }),
  /** Whether the last switch of replicas left them on the target. */
  replicasOnTarget: z.boolean(),
  /** Which fence stands, and on which side. */
  fence: z.strictObject({ side: z.enum(SIDES), kind: fenceSchema, accounts: fencedAccountsSchema }).nullable(),
  /** A fence that should be gone and may not be: the server could not be reached. The fence watch goes on trying. */
  leftFence: z
    .strictObject({
      side: z.enum(SIDES),
      kind: fenceSchema,
      accounts: fencedAccountsSchema,
      threads: z.array(z.int()),
    })
    .nullable()
    .default(null),
  /** Sides on which the last switch could neither enable nor disable events. The fence watch goes on trying. */
  eventsLeft: z.array(z.enum(SIDES)).default([]),
  /** Triggers and events as they were on the old primary when the last switch began. */
  activeObjects: activeObjectsSchema.default(NO_ACTIVE_OBJECTS),
  intent: intentSchema.nullable(),
  /**
   * What this state knows to have been decided, oldest first: its switches, and those of former imports that the servers still told
   * of when it was created. A server that tells of another one knows more than this state (ADR 27).
   */
  decisions: z
    .array(z.strictObject({ id: z.string(), epoch: z.int(), isFormer: z.boolean().default(false) }))
    .default([]),
  /** The last verification, as people see it. */
  verify: z.unknown().transform((stored) => storedVerify(stored as VerifyView | null | undefined)),
  switches: z.array(
    z.strictObject({
      kind: z.enum(['replicas', 'primaries']),
      to: z.enum(SIDES),
      atMs: z.number(),
      pauseMs: z.number(),
      fence: z.string(),
      forced: z.array(z.string()).default([]),
    }),
  ),
  error: z
    .strictObject({
      code: z.string().transform((code): ErrorCode => (code in ERROR_TABLE ? (code as ErrorCode) : 'INTERNAL')),
      message: z.string(),
      details: z.record(z.string(), z.unknown()),
      fromPhase: phaseSchema,
      atMs: z.number(),
    })
    .nullable(),
  createdAtMs: z.number(),
  createdBy: z.string(),
  updatedAtMs: z.number(),
});
export type ImportDocument = z.infer<typeof importDocumentSchema>;

type OlderTableView = Omit<VerifyTableView, 'anew'> & { anew?: boolean };

/** Written by ourselves; what an older version did not write yet is not known. */
function storedVerify(stored: VerifyView | null | undefined): VerifyView | null {
  if (stored == null) return null;
  const { reason = null, primary = 'source', position = null, rowsPerSecond = null } = stored as Partial<VerifyView>;
  const tables = stored.tables.map(({ anew = false, ...table }: OlderTableView) => ({ ...table, anew }));
  return { ...stored, reason, primary, position, rowsPerSecond, tables, etaMs: null, throttled: null, recheck: null };
}

/** What cancelling removes, and these. */
export function withObjects(
  created: ImportDocument['created'],
  objects: readonly ObjectName[],
): ImportDocument['created'] {
  const added = objects
    .filter(({ kind, name }) => !created.objects.some((known) => known.kind === kind && known.name === name))
    .map(({ kind, name }) => ({ kind, name }));
  return { ...created, objects: [...created.objects, ...added] };
}

/** What `secret/<id>` holds once opened: how our own user logs in on both sides. */
export const importSecretsSchema = z.strictObject({ source: serverSchema, target: serverSchema });
export type ImportSecrets = z.infer<typeof importSecretsSchema>;

/** Primary traffic was on the target at some time. */
export function hasMovedPrimaries({ switches }: Pick<ImportDocument, 'switches'>): boolean {
  return switches.some(({ kind }) => kind === 'primaries');
}
