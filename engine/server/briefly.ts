import { abortable } from '../../core/abort.ts';
import { AppError } from '../../core/errors.ts';
import type { ServerConnection } from './connection.ts';

export interface BriefVisit {
  /** Of the server, for people: `the target`. */
  name: string;
  /** For all of it, the way there included. */
  limitMs: number;
  open: () => Promise<ServerConnection>;
  /** Used instead of a new one while it is whole; stays open. */
  lent?: ServerConnection | undefined;
}

/**
 * Work on a server that nobody waits for longer than that: its connection is destroyed then, and SERVER_GONE said. What it had
 * asked for may still be done by the server.
 */
export async function briefly<T>(
  { name, limitMs, open, lent }: BriefVisit,
  work: (connection: ServerConnection) => Promise<T>,
): Promise<T> {
  const limit = AbortSignal.timeout(limitMs);
  const visit = async (connection: ServerConnection) => {
    const destroy = () => connection.destroy();
    limit.addEventListener('abort', destroy, { once: true });
    try {
      return await work(connection);
    } finally {
      limit.removeEventListener('abort', destroy);
    }
  };
  const visiting =
    lent?.broken === false
      ? visit(lent)
      : open().then(async (connection) => {
          await using opened = connection;
          return await visit(opened);
        });
  visiting.catch(() => {});
  try {
    return await abortable(visiting, limit);
  } catch (cause) {
    if (!limit.aborted) throw cause;
    throw new AppError('SERVER_GONE', `${name} did not answer within ${limitMs} ms`, { cause });
  }
}
