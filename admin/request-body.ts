import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { AppError } from '../core/errors.ts';

export const BODY_BYTES_MAX = 1024 * 1024;

/**
 * The JSON value of a request; undefined without a body. The content type is asked for even then: a cross-site form
 * can post without a preflight, but not as application/json.
 */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const type = request.headers['content-type'];
  const hasBody =
    request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
  if (type === undefined ? hasBody || request.method !== 'DELETE' : !/^application\/json *(?:;|$)/i.test(type)) {
    throw new AppError('CONTENT_TYPE_WRONG', 'the content type of the request is not application/json');
  }
  const text = (await readBytes(request)).toString('utf8');
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the text around the mistake, which may be a password.
    throw new AppError('REQUEST_INVALID', 'the body is not valid JSON');
  }
}

async function readBytes(request: IncomingMessage): Promise<Buffer> {
  const tooLarge = () => new AppError('BODY_TOO_LARGE', `the body is larger than ${BODY_BYTES_MAX} bytes`);
  if (Number(request.headers['content-length'] ?? 0) > BODY_BYTES_MAX) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    bytes += (chunk as Buffer).length;
    if (bytes > BODY_BYTES_MAX) throw tooLarge();
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/** Parses what arrived from outside. Issues name the place and the rule, never the value. */
export function parseInput<T>(schema: z.ZodType<T>, value: unknown, what: 'body' | 'query'): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => ({
    path: issue.path.map(String).join('.') || what,
    message: issue.message,
  }));
  const text = issues.map(({ path, message }) => `${path}: ${message}`).join('; ');
  throw new AppError('REQUEST_INVALID', text, { details: { issues } });
}
