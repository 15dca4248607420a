import { z } from 'zod';
import { routingRecordSchema } from '../../core/routing-record.ts';
import { fleetReportSchema, readinessSchema, sessionViewSchema } from '../answer-schemas.ts';
import { jsonRoute, rawRoute, type Route } from '../route.ts';

const tag = 'system';

export const systemRoutes: Route[] = [
  jsonRoute({
    method: 'GET',
    path: '/api/v1/sessions',
    operationId: 'listSessions',
    summary: 'Client sessions of every proxy, with what pins them to their server.',
    tag,
    answer: z.array(sessionViewSchema),
    handle: ({ backend }) => backend.sessions(),
  }),
  jsonRoute({
    method: 'GET',
    path: '/api/v1/fleet',
    operationId: 'fleet',
    summary: 'The proxies, and which epoch of the route each of them applied.',
    tag,
    answer: fleetReportSchema,
    handle: ({ backend }) => backend.fleet(),
  }),
  jsonRoute({
    method: 'GET',
    path: '/api/v1/route',
    operationId: 'route',
    summary: 'The committed routing record; null before the first import.',
    tag,
    answer: routingRecordSchema.nullable(),
    handle: ({ backend }) => backend.route(),
  }),
  rawRoute({
    method: 'GET',
    path: '/metrics',
    operationId: 'metrics',
    summary: 'Prometheus metrics of all processes.',
    tag,
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
    handle: async ({ backend }) => ({
      kind: 'text',
      status: 200,
      contentType: 'text/plain; version=0.0.4; charset=utf-8',
      body: await backend.metrics(),
    }),
  }),
  rawRoute({
    method: 'GET',
    path: '/livez',
    operationId: 'livez',
    summary: 'Answers as long as the process runs.',
    tag,
    needsToken: false,
    contentType: 'text/plain; charset=utf-8',
    handle: async () => ({ kind: 'text', status: 200, contentType: 'text/plain; charset=utf-8', body: 'ok\n' }),
  }),
  rawRoute({
    method: 'GET',
    path: '/readyz',
    operationId: 'readyz',
    summary: '200 when traffic and requests can be served, else 503 with the reasons.',
    tag,
    needsToken: false,
    contentType: 'application/json',
    answer: readinessSchema,
    handle: async ({ backend }) => {
      const body = await backend.ready();
      return { kind: 'json', status: body.ready ? 200 : 503, body };
    },
  }),
];
