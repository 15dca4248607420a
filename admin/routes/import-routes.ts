import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import { importRequestSchema, replicaHostSchema, switchRequestSchema, verifyRequestSchema } from '../../engine/api.ts';
import {
  importViewSchema,
  logEntrySchema,
  switchReportSchema,
  validationReportSchema,
  verifyRepairReportSchema,
} from '../answer-schemas.ts';
import { redact } from '../../core/redact.ts';
import { jsonRoute, type Route, type RouteInput } from '../route.ts';

/** Most actions need nothing but the name of the import; an absent body is fine. */
const nothingSchema = z.strictObject({}).prefault({});
const completeSchema = z.strictObject({ confirm: z.string().default('') }).prefault({});
const resumeSchema = z.strictObject({ ddl: z.enum(['skip', 'apply']).exactOptional() }).prefault({});
const logsQuerySchema = z.strictObject({ limit: z.coerce.number().int().min(1).max(5000).default(200) });

/** No lines may be a wrong name; while the engine is away nobody knows. */
async function assertKnown(input: Pick<RouteInput, 'params' | 'backend'>): Promise<void> {
  await input.backend.engine.getImport({ id: idOf(input) }).catch((error: unknown) => {
    if (error instanceof AppError && error.code === 'NOT_FOUND') throw error;
  });
}

const idOf = (input: Pick<RouteInput, 'params'>) => input.params['id'] ?? '';
const tag = 'imports';

export const importRoutes: Route[] = [
  jsonRoute({
    method: 'POST',
    path: '/api/v1/validate',
    operationId: 'validate',
    summary: 'Check source, target and schema without changing anything.',
    tag,
    body: importRequestSchema,
    answer: validationReportSchema,
    handle: ({ backend, body }) => backend.engine.validate(body),
  }),
  jsonRoute({
    method: 'POST',
    path: '/api/v1/imports',
    operationId: 'createImport',
    summary: 'Create an import; the copy starts at once.',
    tag,
    body: importRequestSchema,
    status: 201,
    answer: importViewSchema,
    handle: ({ backend, body, actor }) => backend.engine.createImport({ ...body, actor }),
  }),
  jsonRoute({
    method: 'GET',
    path: '/api/v1/imports',
    operationId: 'listImports',
    summary: 'All imports, also completed and cancelled ones.',
    tag,
    answer: z.array(importViewSchema),
    handle: ({ backend }) => backend.engine.listImports(),
  }),
  jsonRoute({
    method: 'GET',
    path: '/api/v1/imports/{id}',
    operationId: 'getImport',
    summary: 'One import: phase, progress, streams, verification, traffic.',
    tag,
    answer: importViewSchema,
    handle: (input) => input.backend.engine.getImport({ id: idOf(input) }),
  }),
  jsonRoute({
    method: 'POST',
    path: '/api/v1/imports/{id}/cancel',
    operationId: 'cancelImport',
    summary: 'Give up an import before any switch; what Switchyard created on the target is dropped.',
    tag,
    body: nothingSchema,
    answer: importViewSchema,
    handle: (input) => input.backend.engine.cancelImport({ id: idOf(input), actor: input.actor }),
  }),
  jsonRoute({
    method: 'POST',
    path: '/api/v1/imports/{id}/verify',
    operationId: 'verifyImport',
    summary: 'Start a verification, of the side that follows against the primary; its progress is in the view.',
    tag,
    body: verifyRequestSchema.prefault({}),
    answer: importViewSchema,
    handle: (input) => input.backend.engine.verify({ id: idOf(input), ...input.body, actor: input.actor }),
  }),
  jsonRoute({
    method: 'POST',
    path: '/api/v1/imports/{id}/verify/pause',
    operationId: 'pauseVerification',
    summary: 'Pause a verification; chunks that are done stay done, also over a restart.',
    tag,
    body: nothingSchema,
    answer: importViewSchema,
    handle: (input) => input.backend.engine.pauseVerification({ id: idOf(input), actor: input.actor }),
  }),
  jsonRoute({
    method: 'POST',
    path: '/api/v1/imports/{id}/verify/repair',
    operationId: 'repairDifferences',
    summary:
      'Write the rows that a verification found different to the other side as they are on the primary, and compare them again.',
    tag,
    body: nothingSchema,
    answer: verifyRepairReportSchema,
    handle: (input) => input.backend.engine.repairDifferences({ id: idOf(input), actor: input.actor }),
  }),
  jsonRoute({
    method: 'POST',
    path: '/api/v1/imports/{id}/verify/resume',
    operationId: 'resumeVerification',
    summary: 'Go on with a verification that was paused, or failed on its way.',
    tag,
    body: nothingSchema,
    answer: importViewSchema,
    handle: (input) => input.backend.engine.resumeVerification({ id: idOf(input), actor: input.actor }),
  }),
  jsonRoute({
    method: 'POST',
    path: '/api/v1/imports/{id}/switch',
    operationId: 'switchTraffic',
    summary: 'Switch replica or primary traffic, forth or back, or only check whether it could be.',
    tag,
    body: switchRequestSchema,
    answer: switchReportSchema,
    handle: (input) => input.backend.engine.switchTraffic({ id: idOf(input), ...input.body, actor: input.actor }),
  }),
  jsonRoute({
    method: 'POST',
    path: '/api/v1/imports/{id}/complete',
    operationId: 'completeImport',
    summary: 'End an import for good: streams stop and stored credentials are erased. `confirm` repeats its name.',
    tag,
    body: completeSchema,
    answer: importViewSchema,
    handle: (input) =>
      input.backend.engine.complete({ id: idOf(input), confirm: input.body.confirm, actor: input.actor }),
  }),
  jsonRoute({
    method: 'POST',
    path: '/api/v1/imports/{id}/resume',
    operationId: 'resumeImport',
    summary: 'Go on from an error after its remedy; `ddl` says what to do with a statement that stopped replication.',
    tag,
    body: resumeSchema,
    answer: importViewSchema,
    handle: (input) => input.backend.engine.resume({ id: idOf(input), ...input.body, actor: input.actor }),
  }),
  jsonRoute({
    method: 'PUT',
    path: '/api/v1/imports/{id}/replica-host',
    operationId: 'setReplicaHost',
    summary: 'Set the host that serves replica traffic of the source.',
    tag,
    body: replicaHostSchema,
    answer: importViewSchema,
    handle: (input) =>
      input.backend.engine.setReplicaHost({ id: idOf(input), replicaHost: input.body, actor: input.actor }),
  }),
  jsonRoute({
    method: 'DELETE',
    path: '/api/v1/imports/{id}/replica-host',
    operationId: 'unsetReplicaHost',
    summary: 'Serve replica traffic of the source from its primary again.',
    tag,
    body: nothingSchema,
    answer: importViewSchema,
    handle: (input) => input.backend.engine.setReplicaHost({ id: idOf(input), replicaHost: null, actor: input.actor }),
  }),
  jsonRoute({
    method: 'GET',
    path: '/api/v1/imports/{id}/logs',
    operationId: 'importLogs',
    summary: 'The newest log lines of an import, oldest first. They stay readable while the engine is away.',
    tag,
    query: logsQuerySchema,
    answer: z.array(logEntrySchema),
    handle: async (input) => {
      const entries = input.backend.logs(idOf(input), { limit: input.query.limit });
      if (entries.length === 0) await assertKnown(input);
      return entries.map((entry) => redact(entry) as typeof entry);
    },
  }),
];
