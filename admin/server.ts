import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ListenAddress } from '../config/schema.ts';
import { AppError } from '../core/errors.ts';
import { assertAllowed, assertSafeToListen, type AccessOptions } from './access.ts';
import type { AdminBackend } from './backend.ts';
import { DashboardAssets } from './dashboard-assets.ts';
import { EventStreams } from './event-stream.ts';
import { LagHistory } from './lag-history.ts';
import { problemOf } from './problem.ts';
import { readJson } from './request-body.ts';
import type { Answer } from './route.ts';
import { routeTable } from './route-table.ts';
import { MethodNotAllowed, Router } from './router.ts';

const ACTOR_LENGTH_MAX = 200;

export interface AdminServerOptions {
  listen: ListenAddress;
  token: string | undefined;
  backend: AdminBackend;
  /** Aborting closes the server. */
  signal: AbortSignal;
  /** Told about defects of ours; the client only learns that there was one. */
  onError?: (error: unknown) => void;
}

export interface AdminServer {
  address: ListenAddress;
  /** Ends event streams, lets other requests finish for a moment, and stops listening. */
  close(): Promise<void>;
}

/** Rejects with CONFIG_INVALID (no token off loopback) or PORT_IN_USE. */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const { listen, token, backend, signal, onError = () => {} } = options;
  const access: AccessOptions = { host: listen.host, token };
  assertSafeToListen(access);
  const streams = new EventStreams();
  const assets = new DashboardAssets();
  const lag = new LagHistory();
  const router = new Router(routeTable({ streams, lag }));
  const handler = new Handler({ access, assets, router, backend, onError });
  const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, (request, response) => {
    void handler.handle(request, response);
  });
  await listenOn(server, listen);
  const address = server.address() as AddressInfo;
  const unsubscribe = backend.subscribe(null, (event) => lag.observe(event));
  let closing: Promise<void> | undefined;
  const close = () => {
    unsubscribe();
    return (closing ??= closeServer(server, streams));
  };
  signal.addEventListener('abort', () => void close(), { once: true });
  if (signal.aborted) await close();
  return { address: { host: address.address, port: address.port }, close };
}

class Handler {
  readonly #access: AccessOptions;
  readonly #assets: DashboardAssets;
  readonly #router: Router;
  readonly #backend: AdminBackend;
  readonly #onError: (error: unknown) => void;

  constructor(parts: {
    access: AccessOptions;
    assets: DashboardAssets;
    router: Router;
    backend: AdminBackend;
    onError: (error: unknown) => void;
  }) {
    this.#access = parts.access;
    this.#assets = parts.assets;
    this.#router = parts.router;
    this.#backend = parts.backend;
    this.#onError = parts.onError;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('x-content-type-options', 'nosniff');
    try {
      const url = parseUrl(request.url ?? '/');
      if (this.#assets.serve(request, response, url.pathname)) return;
      send(response, await this.#answer(request, url));
    } catch (error) {
      if (!(error instanceof AppError) || error.code === 'INTERNAL') this.#onError(error);
      sendProblem(request, response, error);
    }
  }

  async #answer(request: IncomingMessage, url: URL): Promise<Answer> {
    const { route, params } = this.#router.match(request.method ?? 'GET', url.pathname);
    if (route.needsToken) assertAllowed(request, this.#access);
    const body = route.method === 'GET' ? undefined : await readJson(request);
    const query = Object.fromEntries(url.searchParams);
    return route.run({ params, query, body, actor: actorOf(request), backend: this.#backend });
  }
}

function parseUrl(target: string): URL {
  const url = target.startsWith('/') ? URL.parse(`http://admin${target}`) : null;
  if (url === null) throw new AppError('REQUEST_INVALID', 'the request target is not a path');
  return url;
}

function actorOf(request: IncomingMessage): string {
  const header = request.headers['x-switchyard-actor'];
  const name = (Array.isArray(header) ? header.join(' ') : (header ?? '')).replace(/[^\x20-\x7e]/g, '').trim();
  return name.slice(0, ACTOR_LENGTH_MAX) || 'api';
}

function send(response: ServerResponse, answer: Answer): void {
  switch (answer.kind) {
    case 'json':
      response.writeHead(answer.status, {
        'content-type': 'application/json; charset=utf-8',
        'cache-control': 'no-store',
      });
      response.end(JSON.stringify(answer.body));
      return;
    case 'text':
      response.writeHead(answer.status, { 'content-type': answer.contentType, 'cache-control': 'no-store' });
      response.end(answer.body);
      return;
    case 'stream':
      // A stream without a body would be one that never ends.
      if (response.req.method === 'HEAD') response.writeHead(200, { 'content-type': 'text/event-stream' }).end();
      else answer.open(response);
      return;
    default:
      throw new Error(`unknown answer ${String(answer satisfies never)}`);
  }
}

function sendProblem(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const problem = problemOf(error);
  if (error instanceof MethodNotAllowed) response.setHeader('allow', error.allow);
  if (problem.status === 401) response.setHeader('www-authenticate', 'Bearer realm="switchyard"');
  if (problem.status === 503) response.setHeader('retry-after', '2');
  // What is left of an unread body would be taken for the next request on this connection.
  if (!request.complete) response.setHeader('connection', 'close');
  response.writeHead(problem.status, { 'content-type': 'application/problem+json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(problem));
}

async function listenOn(server: Server, { host, port }: ListenAddress): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(port, host, resolve);
  try {
    await promise;
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code === 'EADDRINUSE') throw new AppError('PORT_IN_USE', `admin.listen: ${host}:${port} is in use`, { cause });
    throw new AppError('CONFIG_INVALID', `admin.listen: cannot listen on ${host}:${port} (${String(code)})`, { cause });
  } finally {
    server.removeListener('error', reject);
  }
}

async function closeServer(server: Server, streams: EventStreams): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  streams.close();
  server.closeIdleConnections();
  const impatient = setTimeout(() => server.closeAllConnections(), 2000);
  await promise;
  clearTimeout(impatient);
}
