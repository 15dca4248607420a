import { z } from 'zod';
import { conflictListSchema } from '../../engine/api.ts';
import { conflictViewSchema } from '../answer-schemas.ts';
import { jsonRoute, type Route } from '../route.ts';

/** What testers wrote on the target and lost against the source. */
export const conflictRoutes: Route[] = [
  jsonRoute({
    method: 'GET',
    path: '/api/v1/imports/{id}/conflicts',
    operationId: 'listConflicts',
    summary: 'Writes on the target that lost against the source (reverse: always), row by row, as they were found.',
    tag: 'imports',
    query: conflictListSchema,
    answer: z.array(conflictViewSchema),
    handle: ({ backend, params, query }) => backend.engine.listConflicts({ id: params['id'] ?? '', ...query }),
  }),
];
