import { expect, test } from 'vitest';
import { AppError } from '../core/errors.ts';
import { rawRoute, type Method } from './route.ts';
import { MethodNotAllowed, Router } from './router.ts';

function route(method: Method, path: string) {
  const handle = async () => ({ kind: 'json' as const, status: 200, body: null });
  return rawRoute({ method, path, operationId: path, summary: '', tag: '', contentType: 'text/plain', handle });
}
const router = new Router([
  route('GET', '/things'),
  route('POST', '/things'),
  route('GET', '/things/{id}'),
  route('GET', '/a.json'),
]);

test('a path with a parameter matches one segment, decoded', () => {
  expect(router.match('GET', '/things/a%20b').params).toEqual({ id: 'a b' });
  expect(() => router.match('GET', '/things/a/b')).toThrow(AppError);
  expect(() => router.match('GET', '/things/')).toThrow(AppError);
});

test('a dot in a path is a dot', () => {
  expect(router.match('GET', '/a.json').route.path).toBe('/a.json');
  expect(() => router.match('GET', '/axjson')).toThrow(AppError);
});

test('HEAD is answered where GET is', () => {
  expect(router.match('HEAD', '/things').route.method).toBe('GET');
});

test('a wrong method names the right ones', () => {
  const attempt = () => router.match('DELETE', '/things');
  expect(attempt).toThrow(MethodNotAllowed);
  expect(attempt).toThrow('GET, HEAD, POST');
});

test('an unknown path is NOT_FOUND, a malformed one REQUEST_INVALID', () => {
  expect(() => router.match('GET', '/nothing')).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
  expect(() => router.match('GET', '/things/%zz')).toThrow(expect.objectContaining({ code: 'REQUEST_INVALID' }));
});
