import { z } from 'zod';
import type { ImportView } from '../../engine/api.ts';
import type { AdminBackend } from '../backend.ts';
import type { EventStreams } from '../event-stream.ts';
import { rawRoute, type Answer, type Route } from '../route.ts';

const eventsQuerySchema = z.strictObject({
  /** How many log lines of the past to send first. */
  logs: z.coerce.number().int().min(0).max(5000).default(0),
});
const contentType = 'text/event-stream';
const tag = 'events';

export function eventRoutes(streams: EventStreams): Route[] {
  return [
    rawRoute({
      method: 'GET',
      path: '/api/v1/events',
      operationId: 'events',
      summary: 'Server-sent events of all imports: `import` (the whole view after a change) and `log`.',
      tag,
      contentType,
      query: eventsQuerySchema,
      handle: async ({ backend, query }) => {
        // Without the engine the stream opens all the same: log lines and later views still arrive.
        const views = await backend.engine.listImports().catch(() => []);
        return streamOf({ streams, backend, importId: null, views, logs: query.logs });
      },
    }),
    rawRoute({
      method: 'GET',
      path: '/api/v1/imports/{id}/events',
      operationId: 'importEvents',
      summary: 'Server-sent events of one import, its current view first.',
      tag,
      contentType,
      query: eventsQuerySchema,
      handle: async ({ backend, params, query }) => {
        const importId = params['id'] ?? '';
        const view = await backend.engine.getImport({ id: importId });
        return streamOf({ streams, backend, importId, views: [view], logs: query.logs });
      },
    }),
  ];
}

interface StreamRequest {
  streams: EventStreams;
  backend: AdminBackend;
  importId: string | null;
  views: ImportView[];
  logs: number;
}

function streamOf({ streams, backend, importId, views, logs }: StreamRequest): Answer {
  streams.assertRoom();
  return {
    kind: 'stream',
    open: (response) =>
      streams.open(response, (stream) => {
        for (const view of views) stream.send({ kind: 'import', importId: view.id, view });
        if (logs > 0)
          for (const entry of backend.logs(importId, { limit: logs })) stream.send({ kind: 'log', ...entry });
        return backend.subscribe(importId, (event) => stream.send(event));
      }),
  };
}
