import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import pino from 'pino';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../test/support/temporary-folder.ts';
import { Child } from './child.ts';

test('a process that cannot be started at the moment is tried again, and its supervisor lives on', async () => {
  using folder = temporaryFolder();
  const mainPath = path.join(folder.path, 'waits.mjs');
  await writeFile(mainPath, 'setInterval(() => {}, 1000)');
  const stop = new AbortController();
  const environment: NodeJS.ProcessEnv = {};
  const { execPath } = process;
  let told = '';
  const log = pino({}, { write: (line) => (told += line) });
  // As during an upgrade in place: spawn tells of it later. What the system does not take at all it throws.
  process.execPath = path.join(folder.path, 'node');
  const child = new Child({
    name: 'waits',
    arguments: ['--set', 'admin.token=secret-of-the-command-line'],
    mainPath,
    environment,
    signal: stop.signal,
    log,
  });
  try {
    await expect.poll(() => told).toContain('ENOENT');
    environment['TOO_MUCH'] = 'x'.repeat(4 * 1024 * 1024);
    process.execPath = execPath;
    await expect.poll(() => told).toContain('E2BIG');
    delete environment['TOO_MUCH'];
    await expect.poll(() => told).toContain('"msg":"started"');
    expect(told).not.toContain('secret-of-the-command-line');
  } finally {
    process.execPath = execPath;
    stop.abort();
    child.kill('SIGKILL');
    await child.ended;
  }
});

test('a process that does not end when it is told to is killed', async () => {
  using folder = temporaryFolder();
  const mainPath = path.join(folder.path, 'stubborn.mjs');
  const file = path.join(folder.path, 'runs');
  await writeFile(
    mainPath,
    `process.on('SIGTERM', () => {}); (await import('node:fs')).writeFileSync(${JSON.stringify(file)}, '');
     setInterval(() => {}, 1000);`,
  );
  const stop = new AbortController();
  let told = '';
  const log = pino({}, { write: (line) => (told += line) });
  const child = new Child({ name: 'stubborn', arguments: [], mainPath, signal: stop.signal, log });
  await expect.poll(() => existsSync(file)).toBe(true);
  stop.abort();
  await child.end(100);
  expect(told).toContain('killed');
});
