import { expect, test } from 'vitest';
import { z } from 'zod';
import { EventStreams } from './event-stream.ts';
import { LagHistory } from './lag-history.ts';
import { openApiOf } from './openapi.ts';
import { routeTable } from './route-table.ts';

const routes = routeTable({ streams: new EventStreams(), lag: new LagHistory() });
const text = JSON.stringify(openApiOf(routes));
const documentSchema = z.object({
  openapi: z.literal('3.1.0'),
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.looseObject({ operationId: z.string(), parameters: z.array(z.looseObject({ name: z.string() })) }),
    ),
  ),
  components: z.object({
    schemas: z.record(z.string(), z.looseObject({})),
    responses: z.record(z.string(), z.unknown()),
  }),
});
const document = documentSchema.parse(JSON.parse(text));

test('every route is described, under a name of its own', () => {
  for (const { method, path, operationId } of routes)
    expect(document.paths[path]?.[method.toLowerCase()]?.operationId).toBe(operationId);
  expect(new Set(routes.map(({ operationId }) => operationId)).size).toBe(routes.length);
  expect(routes.map(({ path }) => path)).toEqual(
    expect.arrayContaining(['/openapi.json', '/metrics', '/livez', '/readyz', '/api/v1/events']),
  );
});

test('every parameter of a path is described', () => {
  for (const [path, operations] of Object.entries(document.paths)) {
    const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    for (const { parameters } of Object.values(operations))
      expect(parameters.map(({ name }) => name)).toEqual(expect.arrayContaining(names));
  }
});

test('every reference leads somewhere', () => {
  const references = [...text.matchAll(/"\$ref":"#\/components\/(\w+)\/(\w+)"/g)];
  expect(references.length).toBeGreaterThan(20);
  for (const [, kind, name = ''] of references) {
    const known = kind === 'schemas' ? document.components.schemas : document.components.responses;
    expect(Object.keys(known)).toContain(name);
  }
  expect(text.match(/"\$ref":/g)).toHaveLength(references.length);
});

test('requests may leave out what has a default', () => {
  expect(document.components.schemas['ImportRequest']?.['required']).toEqual(['id', 'source', 'database']);
});
