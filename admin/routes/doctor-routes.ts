import { doctorReportSchema } from '../../engine/doctor/doctor-report.ts';
import { jsonRoute, type Route } from '../route.ts';

const path = '/api/v1/imports/{id}/doctor';
const tag = 'imports';

/** What is wrong, and the repair of what can be repaired without a decision. */
export const doctorRoutes: Route[] = [
  jsonRoute({
    method: 'GET',
    path,
    operationId: 'doctor',
    summary: 'The state of the import, its route, its proxies and both servers, and what is wrong with them.',
    tag,
    answer: doctorReportSchema,
    handle: ({ backend, params }) => backend.engine.doctor({ id: params['id'] ?? '' }),
  }),
  jsonRoute({
    method: 'POST',
    path: `${path}/repair`,
    operationId: 'repair',
    summary: 'Repair what can be repaired safely: fences, holds, interrupted switches, stopped streams.',
    tag,
    answer: doctorReportSchema,
    handle: ({ backend, params, actor }) => backend.engine.repair({ id: params['id'] ?? '', actor }),
  }),
];
