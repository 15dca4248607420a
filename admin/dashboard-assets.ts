import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join } from 'node:path';

const CONTENT_TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** No inline script or style, nothing from elsewhere: what a database holds is shown here as text, and stays text. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

interface Asset {
  contentType: string;
  body: Buffer;
  etag: string;
}

/** The files of dashboard/, read once; only names that were there at the start are ever served. */
export class DashboardAssets {
  readonly #assets = new Map<string, Asset>();

  constructor(folder: string = join(import.meta.dirname, 'dashboard')) {
    for (const name of readdirSync(folder)) {
      const contentType = CONTENT_TYPES[extname(name)];
      if (contentType === undefined) continue;
      const body = readFileSync(join(folder, name));
      const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
      this.#assets.set(name === 'index.html' ? '/' : `/dashboard/${name}`, { contentType, body, etag });
    }
  }

  /** True when the request was for an asset and is answered. */
  serve(request: IncomingMessage, response: ServerResponse, pathname: string): boolean {
    if (request.method !== 'GET' && request.method !== 'HEAD') return false;
    if (pathname === '/dashboard' || pathname === '/dashboard/') {
      response.writeHead(308, { location: '/' }).end();
      return true;
    }
    const asset = this.#assets.get(pathname);
    if (asset === undefined) return false;
    const headers = {
      'content-security-policy': CONTENT_SECURITY_POLICY,
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cache-control': 'no-cache',
      etag: asset.etag,
    };
    if (request.headers['if-none-match'] === asset.etag) response.writeHead(304, headers).end();
    else response.writeHead(200, { ...headers, 'content-type': asset.contentType }).end(asset.body);
    return true;
  }
}
