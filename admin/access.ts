import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { AppError } from '../core/errors.ts';

export interface AccessOptions {
  /** Where the server listens: a name that a Host header may carry. */
  host: string;
  token: string | undefined;
}

/** Refuses to open an admin API to a network without a token. */
export function assertSafeToListen({ host, token }: AccessOptions): void {
  if (token === undefined && !isLoopback(host)) {
    throw new AppError(
      'CONFIG_INVALID',
      `admin.listen is ${host}, which is not a loopback address: admin.token is required`,
    );
  }
}

/**
 * Who may call. With a token, the token decides alone: a browser never sends it by itself, so neither DNS rebinding nor
 * cross-site requests get through. Without one (loopback only) any page that the operator's browser has open could
 * reach us, hence the checks of Host (rebinding) and Origin (cross-site).
 */
export function assertAllowed(request: IncomingMessage, { host, token }: AccessOptions): void {
  if (token !== undefined) {
    const [, given] = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '') ?? [];
    if (given === undefined) throw new AppError('UNAUTHORIZED', 'the request carries no bearer token');
    if (!equalInConstantTime(given, token))
      throw new AppError('UNAUTHORIZED', 'the bearer token is not the configured one');
    return;
  }
  const requested = hostnameOf(request.headers.host ?? '');
  if (requested === undefined || !(isLoopback(requested) || requested === host.toLowerCase())) {
    throw new AppError('ORIGIN_REFUSED', 'the Host header names another host than this admin API listens on');
  }
  const origin = request.headers.origin;
  if (origin !== undefined && origin.toLowerCase() !== `http://${request.headers.host ?? ''}`.toLowerCase()) {
    throw new AppError('ORIGIN_REFUSED', 'the Origin header names another site');
  }
}

export function isLoopback(host: string): boolean {
  const name = host.toLowerCase();
  return name === 'localhost' || name === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name);
}

/** Digests first, since timingSafeEqual wants equal lengths and the length of the token is nobody's business. */
function equalInConstantTime(left: string, right: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(left), digest(right));
}

function hostnameOf(header: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/@]+))(?::\d+)?$/i.exec(header);
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}
