import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { request } from 'undici';
import { z } from 'zod';
import { expect, test } from 'vitest';
import { AppError } from '../core/errors.ts';
import {
  importViewSchema,
  problemSchema,
  switchReportSchema,
  validationReportSchema,
  verifyRepairReportSchema,
} from './answer-schemas.ts';
import { startAdminServer } from './server.ts';
import { refusal } from '../engine/switch/refusal-table.ts';
import { startStandIn, type StandIn } from './stand-in/start-stand-in.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const PASSWORD = 'hunter2-hunter2';
const REQUEST = { id: 'shop', source: { host: 'db', user: 'u', password: PASSWORD }, database: 'shop' };

async function call(
  standIn: StandIn,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = JSON_TYPE,
) {
  const sent = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) };
  const {
    statusCode,
    headers: received,
    body: answer,
  } = await request(`${standIn.url}${path}`, { method, headers, ...sent });
  const text = await answer.text();
  return { status: statusCode, type: received['content-type'], headers: received, text };
}

/** Expects a problem document of that status and code, and nothing secret or internal in it. */
function expectProblem({ status, type, text }: Awaited<ReturnType<typeof call>>, expected: [number, string]) {
  expect(type).toBe('application/problem+json');
  const problem = problemSchema.parse(JSON.parse(text));
  expect([status, problem.code]).toEqual(expected);
  expect(problem.status).toBe(status);
  expect(problem.remedy).not.toBe('');
  expect(text).not.toContain(PASSWORD);
  expect(text).not.toMatch(/\.ts:|node_modules|at .*\(/);
  return problem;
}

test('the way of an import through every route', async () => {
  await using standIn = await startStandIn();
  const step = async (method: string, path: string, body: unknown, schema: z.ZodType, status = 200) => {
    const answer = await call(standIn, method, `/api/v1${path}`, body);
    expect([path, answer.status, answer.type]).toEqual([path, status, 'application/json; charset=utf-8']);
    expect(answer.text).not.toContain(PASSWORD);
    return schema.parse(JSON.parse(answer.text));
  };
  await step('POST', '/validate', REQUEST, validationReportSchema);
  await step('POST', '/imports', REQUEST, importViewSchema, 201);
  standIn.backend.engine.move(standIn.backend.engine.find('shop'), 'running');
  await step('GET', '/imports', undefined, z.array(importViewSchema).length(1));
  await step('PUT', '/imports/shop/replica-host', { host: 'r1' }, importViewSchema);
  await step('DELETE', '/imports/shop/replica-host', undefined, importViewSchema);
  await step('POST', '/imports/shop/verify', { rowsPerSecond: 1000 }, importViewSchema);
  await step('POST', '/imports/shop/verify/pause', {}, importViewSchema);
  await step('POST', '/imports/shop/verify/resume', {}, importViewSchema);
  await step('POST', '/imports/shop/verify/repair', {}, verifyRepairReportSchema);
  standIn.backend.engine.move(standIn.backend.engine.find('shop'), 'verified_data');
  await step('POST', '/imports/shop/switch', { kind: 'primaries', dryRun: true }, switchReportSchema);
  await step('POST', '/imports/shop/switch', { kind: 'primaries' }, switchReportSchema);
  await step('POST', '/imports/shop/complete', { confirm: 'shop' }, importViewSchema);
  expect(standIn.backend.engine.calls.map(({ method }) => method)).toEqual([
    'validate',
    'createImport',
    'listImports',
    'setReplicaHost',
    'setReplicaHost',
    'verify',
    'pauseVerification',
    'resumeVerification',
    'repairDifferences',
    'switchTraffic',
    'switchTraffic',
    'complete',
  ]);
  expect(standIn.backend.engine.calls[3]?.args).toEqual({
    id: 'shop',
    replicaHost: { host: 'r1', port: 3306 },
    actor: 'api',
  });
});

test.each<[string, string, string, unknown, Record<string, string>, [number, string]]>([
  ['unknown path', 'GET', '/api/v1/nothing', undefined, {}, [404, 'NOT_FOUND']],
  ['unknown import', 'GET', '/api/v1/imports/nope', undefined, {}, [404, 'NOT_FOUND']],
  ['logs of an unknown import', 'GET', '/api/v1/imports/nope/logs', undefined, {}, [404, 'NOT_FOUND']],
  ['wrong method', 'DELETE', '/api/v1/imports', undefined, {}, [405, 'METHOD_NOT_ALLOWED']],
  [
    'malformed JSON',
    'POST',
    '/api/v1/imports',
    `{"source":{"password":"${PASSWORD}"`,
    JSON_TYPE,
    [400, 'REQUEST_INVALID'],
  ],
  ['JSON that is no object', 'POST', '/api/v1/imports', '[]', JSON_TYPE, [400, 'REQUEST_INVALID']],
  [
    'a form of a foreign page',
    'POST',
    '/api/v1/imports/x/cancel',
    'a=b',
    { 'content-type': 'text/plain' },
    [415, 'CONTENT_TYPE_WRONG'],
  ],
  ['no content type', 'POST', '/api/v1/imports/x/cancel', undefined, {}, [415, 'CONTENT_TYPE_WRONG']],
  ['unknown key', 'POST', '/api/v1/imports', { ...REQUEST, more: 1 }, JSON_TYPE, [400, 'REQUEST_INVALID']],
  [
    'wrong type of a secret',
    'POST',
    '/api/v1/validate',
    { ...REQUEST, source: { ...REQUEST.source, password: [PASSWORD] } },
    JSON_TYPE,
    [400, 'REQUEST_INVALID'],
  ],
  ['wrong query', 'GET', '/api/v1/imports/x/logs?limit=0', undefined, {}, [400, 'REQUEST_INVALID']],
  ['malformed escape', 'GET', '/api/v1/imports/%zz', undefined, {}, [400, 'REQUEST_INVALID']],
  ['too much', 'POST', '/api/v1/imports', `"${'x'.repeat(1024 * 1024)}"`, JSON_TYPE, [413, 'BODY_TOO_LARGE']],
])('%s is a clear problem', async (_name, method, path, body, headers, expected) => {
  await using standIn = await startStandIn();
  expectProblem(await call(standIn, method, path, body, headers), expected);
  expect(standIn.defects).toEqual([]);
});

test('a body without a declared length is cut off at the limit too', async () => {
  await using standIn = await startStandIn();
  const endless = Readable.from(Array.from({ length: 40 }, () => Buffer.alloc(64 * 1024, 'x')));
  const { statusCode, body } = await request(`${standIn.url}/api/v1/imports`, {
    method: 'POST',
    headers: JSON_TYPE,
    body: endless,
  });
  expect(statusCode).toBe(413);
  await body.dump();
});

test('every place of a wrong request is named', async () => {
  await using standIn = await startStandIn();
  const problem = expectProblem(await call(standIn, 'POST', '/api/v1/imports', { id: 'A', source: { host: 'x' } }), [
    400,
    'REQUEST_INVALID',
  ]);
  expect(problem.details['issues']).toEqual([
    expect.objectContaining({ path: 'id' }),
    expect.objectContaining({ path: 'source.user' }),
    expect.objectContaining({ path: 'database' }),
  ]);
});

test('errors of the engine keep code and details, by kind: refused 409, retryable 503', async () => {
  await using standIn = await startStandIn();
  const { engine } = standIn.backend;
  await call(standIn, 'POST', '/api/v1/imports', REQUEST);
  expectProblem(await call(standIn, 'POST', '/api/v1/imports', REQUEST), [409, 'IMPORT_EXISTS']);
  expectProblem(await call(standIn, 'POST', '/api/v1/imports/shop/complete', {}), [409, 'CONFIRMATION_REQUIRED']);
  engine.refusals = [refusal('LAG_TOO_HIGH', 'behind')];
  const refused = expectProblem(await call(standIn, 'POST', '/api/v1/imports/shop/switch', { kind: 'primaries' }), [
    409,
    'SWITCH_REFUSED',
  ]);
  expect(refused.details['refusals']).toEqual(engine.refusals);
  engine.failure = new AppError('ENGINE_UNAVAILABLE', 'away', { details: { password: PASSWORD } });
  const away = await call(standIn, 'GET', '/api/v1/imports');
  expect(expectProblem(away, [503, 'ENGINE_UNAVAILABLE']).retryable).toBe(true);
  expect(away.headers['retry-after']).toBe('2');
});

test('a defect is told to the log, not to the client', async () => {
  await using standIn = await startStandIn();
  standIn.backend.engine.failure = new TypeError(`cannot read ${PASSWORD}`);
  expectProblem(await call(standIn, 'GET', '/api/v1/imports'), [500, 'INTERNAL']);
  expect(standIn.defects).toEqual([standIn.backend.engine.failure]);
});

test('who asked is what the header says, in printable characters', async () => {
  await using standIn = await startStandIn();
  const actorOf = async (headers: Record<string, string>) => {
    await call(standIn, 'POST', '/api/v1/imports/x/cancel', undefined, { ...JSON_TYPE, ...headers });
    return (standIn.backend.engine.calls.at(-1)?.args as { actor?: string } | undefined)?.actor;
  };
  expect(await actorOf({})).toBe('api');
  expect(await actorOf({ 'x-switchyard-actor': 'cli:anna@ops' })).toBe('cli:anna@ops');
  expect(await actorOf({ 'x-switchyard-actor': 'a\tb'.padEnd(400, 'x') })).toBe('ab'.padEnd(200, 'x'));
});

test('readiness is 503 with the reasons, liveness is not asked', async () => {
  await using standIn = await startStandIn();
  standIn.backend.readiness = { ready: false, reasons: ['no proxy is connected'] };
  const { status, text } = await call(standIn, 'GET', '/readyz');
  expect([status, JSON.parse(text)]).toEqual([503, standIn.backend.readiness]);
  expect((await call(standIn, 'GET', '/livez')).status).toBe(200);
});

test('the dashboard is served with a policy without inline code, and nothing beside its files', async () => {
  await using standIn = await startStandIn();
  const page = await call(standIn, 'GET', '/');
  expect(page.text).not.toMatch(/<script(?![^>]*src=)|<style| style=| on\w+=/);
  expect(page.headers['content-security-policy']).toMatch(/script-src 'self'; style-src 'self'/);
  expect((await call(standIn, 'GET', '/', undefined, { 'if-none-match': String(page.headers['etag']) })).status).toBe(
    304,
  );
  for (const path of [
    '/dashboard/../server.ts',
    '/dashboard/%2e%2e/server.ts',
    '/dashboard/README.md',
    '/dashboard/nothing.js',
  ]) {
    expect([path, (await call(standIn, 'GET', path)).status]).toEqual([path, 404]);
  }
});

test('an address in use is PORT_IN_USE', async () => {
  await using standIn = await startStandIn();
  const { backend, server } = standIn;
  const second = startAdminServer({
    listen: server.address,
    token: undefined,
    backend,
    signal: new AbortController().signal,
  });
  await expect(second).rejects.toMatchObject({ code: 'PORT_IN_USE' });
});

test('aborting the signal closes the server and its subscription', async () => {
  await using standIn = await startStandIn();
  const stop = new AbortController();
  const { backend } = standIn;
  const before = backend.subscribers;
  const server = await startAdminServer({
    listen: { host: '127.0.0.1', port: 0 },
    token: undefined,
    backend,
    signal: stop.signal,
  });
  expect(backend.subscribers).toBe(before + 1);
  stop.abort();
  await server.close();
  expect(backend.subscribers).toBe(before);
  await expect(request(`http://127.0.0.1:${server.address.port}/livez`)).rejects.toThrow('ECONNREFUSED');
});

test('garbage instead of HTTP ends the connection, not the server', async () => {
  await using standIn = await startStandIn();
  const socket = connect(standIn.server.address.port, '127.0.0.1');
  socket.end('\u0000\u0001 garbage\r\n\r\n');
  socket.resume();
  await new Promise((resolve) => socket.once('close', resolve));
  expect((await call(standIn, 'GET', '/livez')).status).toBe(200);
});
