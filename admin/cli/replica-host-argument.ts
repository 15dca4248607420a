import { AppError } from '../../core/errors.ts';
import type { ReplicaHost } from '../../engine/api.ts';

/** `HOST`, `HOST:PORT` or `[IPV6]:PORT`. */
export function parseReplicaHost(text: string): ReplicaHost {
  const [, bracketed, plain, port = '3306'] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) throw new AppError('REQUEST_INVALID', `${text} is not HOST or HOST:PORT`);
  return { host, port: Number(port) };
}
