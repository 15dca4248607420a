import { expect, test } from 'vitest';
import { z } from 'zod';
import { readStored } from './read-stored.ts';

const schema = z.strictObject({
  id: z.string(),
  old: z.int().default(7),
  switches: z.array(z.strictObject({ kind: z.enum(['replicas', 'primaries']) })).default([]),
});

test('an older document gets the defaults', () => {
  expect(readStored(schema, { id: 'shop' }, 'it')).toEqual({ id: 'shop', old: 7, switches: [] });
});

test('what a newer version has written is named by its keys, without values', () => {
  const newer = { id: 'shop', secret: 'hidden', switches: [{ kind: 'all' }, { kind: 'replicas', forced: ['hidden'] }] };
  expect(() => readStored(schema, newer, 'the document of shop')).toThrow(
    expect.objectContaining({
      code: 'STATE_UNREADABLE',
      message: 'the document of shop has what this version does not know: switches.0.kind, switches.1.forced, secret',
    }),
  );
});
