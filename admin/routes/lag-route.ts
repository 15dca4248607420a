import { z } from 'zod';
import { lagSampleSchema } from '../answer-schemas.ts';
import type { LagHistory } from '../lag-history.ts';
import { jsonRoute, type Route } from '../route.ts';

export function lagRoute(lag: LagHistory): Route {
  return jsonRoute({
    method: 'GET',
    path: '/api/v1/imports/{id}/lag',
    operationId: 'importLag',
    summary: 'Replication lag of the last quarter of an hour, a sample a second, since the admin server started.',
    tag: 'imports',
    answer: z.array(lagSampleSchema),
    handle: async ({ params }) => lag.of(params['id'] ?? ''),
  });
}
