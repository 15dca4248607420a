import { z } from 'zod';
import {
  findingSchema,
  fleetReportSchema,
  importViewSchema,
  lagSampleSchema,
  logEntrySchema,
  problemSchema,
  readinessSchema,
  serverFactsSchema,
  sessionViewSchema,
  switchReportSchema,
  validationReportSchema,
} from './answer-schemas.ts';
import { routingRecordSchema } from '../core/routing-record.ts';
import { importRequestSchema, switchRequestSchema } from '../engine/api.ts';
import { doctorReportSchema } from '../engine/doctor/doctor-report.ts';
import type { Route } from './route.ts';

/** Schemas that get a name of their own in `components`; the others are written in place. */
const ANSWERS = {
  DoctorReport: doctorReportSchema,
  Finding: findingSchema,
  FleetReport: fleetReportSchema,
  ImportView: importViewSchema,
  LagSample: lagSampleSchema,
  LogEntry: logEntrySchema,
  Problem: problemSchema,
  Readiness: readinessSchema,
  RoutingRecord: routingRecordSchema,
  ServerFacts: serverFactsSchema,
  SessionView: sessionViewSchema,
  SwitchReport: switchReportSchema,
  ValidationReport: validationReportSchema,
};
const REQUESTS = { ImportRequest: importRequestSchema, SwitchRequest: switchRequestSchema };

type JsonObject = Record<string, unknown>;

/** OpenAPI 3.1, whose schemas are plain JSON Schema 2020-12, so zod's own conversion is enough. */
export function openApiOf(routes: readonly Route[]): JsonObject {
  const answers = componentsOf(ANSWERS, 'output');
  const requests = componentsOf(REQUESTS, 'input');
  const paths: Record<string, JsonObject> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Switchyard admin API',
      version: '1',
      description:
        'Imports a live MySQL or MariaDB database into another server. Errors are RFC 9457 problem documents.',
    },
    paths,
    components: {
      schemas: { ...answers, ...requests },
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      responses: {
        Problem: {
          description: 'The request was refused or failed.',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
    },
  };
}

function operationOf(route: Route): JsonObject {
  const { contentType, schema, status } = route.answer;
  return {
    operationId: route.operationId,
    summary: route.summary,
    tags: [route.tag],
    // An empty requirement besides: without a configured token (loopback only) none is asked for.
    security: route.needsToken ? [{ token: [] }, {}] : [],
    parameters: [...pathParameters(route), ...queryParameters(route)],
    ...(route.body === undefined
      ? {}
      : {
          requestBody: {
            required: !route.body.safeParse(undefined).success,
            content: { 'application/json': { schema: schemaOf(route.body, REQUESTS, 'input') } },
          },
        }),
    responses: {
      [status]: {
        description: 'Done.',
        content: {
          [mediaType(contentType)]: schema === undefined ? {} : { schema: schemaOf(schema, ANSWERS, 'output') },
        },
      },
      default: { $ref: '#/components/responses/Problem' },
    },
  };
}

function pathParameters(route: Route): JsonObject[] {
  return [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters(route: Route): JsonObject[] {
  if (route.query === undefined) return [];
  const { properties = {} } = z.toJSONSchema(route.query, { io: 'output' });
  return Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', required: false, schema }));
}

function mediaType(contentType: string): string {
  return contentType.split(';')[0] ?? contentType;
}

function componentsOf(schemas: Record<string, z.ZodType>, io: 'input' | 'output'): JsonObject {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(schemas)) registry.add(schema, { id });
  const converted = z.toJSONSchema(registry, { io, uri: (id) => `#/components/schemas/${id}` }).schemas;
  return Object.fromEntries(Object.entries(converted).map(([id, schema]) => [id, withoutIdentity(schema)]));
}

/** A reference where the schema, or the item of its array, has a name; else the schema itself. */
function schemaOf(schema: z.ZodType, named: Record<string, z.ZodType>, io: 'input' | 'output'): unknown {
  const name = nameOf(schema, named);
  if (name !== undefined) return { $ref: `#/components/schemas/${name}` };
  if (schema instanceof z.ZodArray) return { type: 'array', items: schemaOf(schema.element as z.ZodType, named, io) };
  if (schema instanceof z.ZodNullable) {
    return { anyOf: [schemaOf(schema.unwrap() as z.ZodType, named, io), { type: 'null' }] };
  }
  return withoutIdentity(z.toJSONSchema(schema, { io }));
}

function nameOf(schema: z.ZodType, named: Record<string, z.ZodType>): string | undefined {
  return Object.entries(named).find(([, candidate]) => candidate === schema)?.[0];
}

function withoutIdentity(schema: object): JsonObject {
  return Object.fromEntries(
    Object.entries(schema).filter(([key]) => key !== '$schema' && key !== '$id' && key !== 'id'),
  );
}
