import { z } from 'zod';
import { AppError } from '../core/errors.ts';

const NAMED_MAX = 5;

/**
 * What was stored, perhaps by another version. An older one is read by the defaults of `schema`; what a newer one has added is not
 * passed over, since nobody knows what it stands for. Throws STATE_UNREADABLE, which names `what` and the keys, and no value.
 */
export function readStored<T>(schema: z.ZodType<T>, stored: unknown, what: string): T {
  const { success, data, error } = schema.safeParse(stored);
  if (success) return data;
  const named = error.issues.slice(0, NAMED_MAX).flatMap((issue) => {
    const keys = issue.code === 'unrecognized_keys' ? issue.keys : [];
    const paths = keys.length === 0 ? [issue.path] : keys.map((key) => [...issue.path, key]);
    return paths.map((path) => path.map(String).join('.'));
  });
  throw new AppError('STATE_UNREADABLE', `${what} has what this version does not know: ${named.join(', ')}`, {
    details: { keys: named },
  });
}
