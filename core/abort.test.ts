import { expect, test } from 'vitest';
import { abortable } from './abort.ts';

test('work that was begun when its signal had aborted already fails unheard, and does not end the process', async () => {
  const { promise, reject } = Promise.withResolvers<never>();
  await expect(abortable(promise, AbortSignal.abort())).rejects.toThrow();
  reject(new Error('the connection was closed'));
  // Vitest fails the run on a rejection that nobody handles.
  await new Promise((resolve) => setImmediate(resolve));
});
