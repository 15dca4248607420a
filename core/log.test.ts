import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';

const PROGRAM = `
  import { createLogger } from '${new URL('./log.ts', import.meta.url).href}';
  const log = createLogger('test', 'info');
  for (let line = 0; line < 2000; line += 1) log.info({ at: 'mysql://u:secret-of-a-dsn@h', filled: 'x'.repeat(100) }, 'line');
  console.log('alive');`;

async function run(stderr: 'pipe' | number): Promise<{ said: string; logged: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', PROGRAM], {
    stdio: ['ignore', 'pipe', stderr],
  });
  const [said, logged] = await Promise.all([
    child.stdout === null ? '' : text(child.stdout),
    child.stderr === null ? '' : text(child.stderr),
  ]);
  return { said, logged };
}

test('every line is written at once, without a password that is in a text', async () => {
  const { said, logged } = await run('pipe');
  expect(said).toBe('alive\n');
  expect(logged.match(/"msg":"line"/g)).toHaveLength(2000);
  expect(logged).not.toContain('secret-of-a-dsn');
});

test.runIf(process.platform === 'linux')('a log that cannot be written, on a full disk, ends nobody', async () => {
  const full = openSync('/dev/full', 'w');
  try {
    expect((await run(full)).said).toBe('alive\n');
  } finally {
    closeSync(full);
  }
});
