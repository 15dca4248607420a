import type { EventStreams } from './event-stream.ts';
import type { LagHistory } from './lag-history.ts';
import { openApiOf } from './openapi.ts';
import { rawRoute, type Route } from './route.ts';
import { eventRoutes } from './routes/event-routes.ts';
import { importRoutes } from './routes/import-routes.ts';
import { lagRoute } from './routes/lag-route.ts';
import { doctorRoutes } from './routes/doctor-routes.ts';
import { conflictRoutes } from './routes/conflict-routes.ts';
import { userRoutes } from './routes/user-routes.ts';
import { strayRoutes } from './routes/stray-routes.ts';
import { systemRoutes } from './routes/system-routes.ts';

/** Every route of the API, the description of itself included. */
export function routeTable({ streams, lag }: { streams: EventStreams; lag: LagHistory }): Route[] {
  const routes: Route[] = [
    ...importRoutes,
    ...strayRoutes,
    ...conflictRoutes,
    ...userRoutes,
    ...doctorRoutes,
    ...eventRoutes(streams),
    lagRoute(lag),
    ...systemRoutes,
  ];
  const openApi = rawRoute({
    method: 'GET',
    path: '/openapi.json',
    operationId: 'openapi',
    summary: 'This description.',
    tag: 'system',
    needsToken: false,
    contentType: 'application/json',
    handle: async () => ({ kind: 'json', status: 200, body: document }),
  });
  routes.push(openApi);
  const document = openApiOf(routes);
  return routes;
}
