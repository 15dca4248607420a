import type { ServerResponse } from 'node:http';
import type { z } from 'zod';
import type { AdminBackend } from './backend.ts';
import { parseInput } from './request-body.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

export interface RouteInput {
  params: Readonly<Record<string, string>>;
  query: unknown;
  body: unknown;
  /** Who asked, for the record of the import. */
  actor: string;
  backend: AdminBackend;
}

export type Answer =
  | { kind: 'json'; status: number; body: unknown }
  | { kind: 'text'; status: number; contentType: string; body: string }
  /** The handler owns the response from here on; headers are not sent yet. */
  | { kind: 'stream'; open: (response: ServerResponse) => void };

/** One row of the route table: enough to match, to run and to describe it in OpenAPI. */
export interface Route {
  method: Method;
  /** With `{name}` for parameters. */
  path: string;
  operationId: string;
  summary: string;
  tag: string;
  /** False: answered without a token (health, documentation). */
  needsToken: boolean;
  body: z.ZodType | undefined;
  query: z.ZodType | undefined;
  answer: { status: number; contentType: string; schema: z.ZodType | undefined };
  run: (input: RouteInput) => Promise<Answer>;
}

interface RouteDefinition<Body, Query> {
  method: Method;
  path: string;
  operationId: string;
  summary: string;
  tag: string;
  needsToken?: boolean;
  body?: z.ZodType<Body>;
  query?: z.ZodType<Query>;
}

type Parsed<Body, Query> = Omit<RouteInput, 'body' | 'query'> & { body: Body; query: Query };

/** A route that answers with JSON of the form `schema`. */
export function jsonRoute<Answered, Body = undefined, Query = undefined>(
  definition: RouteDefinition<Body, Query> & {
    status?: number;
    answer: z.ZodType<Answered>;
    handle: (input: Parsed<Body, Query>) => Promise<Answered>;
  },
): Route {
  const status = definition.status ?? 200;
  return {
    ...shape(definition),
    answer: { status, contentType: 'application/json', schema: definition.answer },
    run: async (input) => ({ kind: 'json', status, body: await definition.handle(parse(definition, input)) }),
  };
}

/** A route that builds its answer itself: plain text, an event stream, a status that depends. */
export function rawRoute<Body = undefined, Query = undefined>(
  definition: RouteDefinition<Body, Query> & {
    contentType: string;
    answer?: z.ZodType;
    handle: (input: Parsed<Body, Query>) => Promise<Answer>;
  },
): Route {
  return {
    ...shape(definition),
    answer: { status: 200, contentType: definition.contentType, schema: definition.answer },
    run: async (input) => definition.handle(parse(definition, input)),
  };
}

function shape<Body, Query>(definition: RouteDefinition<Body, Query>): Omit<Route, 'answer' | 'run'> {
  const { method, path, operationId, summary, tag, needsToken = true, body, query } = definition;
  return { method, path, operationId, summary, tag, needsToken, body, query };
}

function parse<Body, Query>(definition: RouteDefinition<Body, Query>, input: RouteInput): Parsed<Body, Query> {
  // A route without a schema declares its type parameter as undefined, so the casts hold.
  const body = definition.body === undefined ? undefined : parseInput(definition.body, input.body, 'body');
  const query = definition.query === undefined ? undefined : parseInput(definition.query, input.query, 'query');
  return { ...input, body: body as Body, query: query as Query };
}
