import { z } from 'zod';
import { strayApplySchema, strayListSchema } from '../../engine/api.ts';
import { strayApplyReportSchema, strayWriteViewSchema } from '../answer-schemas.ts';
import { jsonRoute, type Route, type RouteInput } from '../route.ts';

const path = '/api/v1/imports/{id}/stray-writes';
const tag = 'imports';
const idOf = ({ params }: Pick<RouteInput, 'params'>) => params['id'] ?? '';

/** What reached the old primary after a switch. */
export const strayRoutes: Route[] = [
  jsonRoute({
    method: 'GET',
    path,
    operationId: 'listStrayWrites',
    summary: 'Writes that reached the old primary after a switch, row by row, in the order of their commits.',
    tag,
    query: strayListSchema,
    answer: z.array(strayWriteViewSchema),
    handle: (input) => input.backend.engine.listStrayWrites({ id: idOf(input), ...input.query }),
  }),
  jsonRoute({
    method: 'POST',
    path: `${path}/apply`,
    operationId: 'applyStrayWrites',
    summary: 'Apply stray writes to the primary where the row is still as they found it; the others are conflicts.',
    tag,
    body: strayApplySchema,
    answer: strayApplyReportSchema,
    handle: (input) => input.backend.engine.applyStrayWrites({ id: idOf(input), ...input.body, actor: input.actor }),
  }),
];
