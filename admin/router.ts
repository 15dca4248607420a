import { AppError } from '../core/errors.ts';
import type { Method, Route } from './route.ts';

export interface Match {
  route: Route;
  params: Record<string, string>;
}

/** Raised with the methods that the path has, for the Allow header. */
export class MethodNotAllowed extends AppError {
  readonly allow: string;

  constructor(method: string, path: string, allow: string) {
    super('METHOD_NOT_ALLOWED', `${path} does not take ${method}, only ${allow}`);
    this.allow = allow;
  }
}

/** Finds the route of a request. The table is short, so a walk through it is enough. */
export class Router {
  readonly #routes: { route: Route; pattern: RegExp; names: string[] }[];

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((route) => ({ route, ...compile(route.path) }));
  }

  /** Throws NOT_FOUND or METHOD_NOT_ALLOWED. HEAD is answered like GET, without the body. */
  match(method: string, pathname: string): Match {
    const wanted = method === 'HEAD' ? 'GET' : method;
    const allowed = new Set<Method | 'HEAD'>();
    for (const { route, pattern, names } of this.#routes) {
      const found = pattern.exec(pathname);
      if (found === null) continue;
      if (route.method === wanted) return { route, params: paramsOf(names, found.slice(1)) };
      allowed.add(route.method);
      if (route.method === 'GET') allowed.add('HEAD');
    }
    if (allowed.size > 0) throw new MethodNotAllowed(method, pathname, [...allowed].sort().join(', '));
    throw new AppError('NOT_FOUND', `there is no ${pathname.slice(0, 200)} here`);
  }
}

function compile(path: string): { pattern: RegExp; names: string[] } {
  const names = [...path.matchAll(/\{(\w+)\}/g)].flatMap(([, name]) => name ?? []);
  const pattern = path.replace(/[.]/g, String.raw`\.`).replace(/\{\w+\}/g, '([^/]+)');
  return { pattern: new RegExp(`^${pattern}$`), names };
}

function paramsOf(names: string[], values: string[]): Record<string, string> {
  try {
    return Object.fromEntries(names.map((name, at) => [name, decodeURIComponent(values[at] ?? '')]));
  } catch {
    throw new AppError('REQUEST_INVALID', 'the path has a malformed percent-encoding');
  }
}
