import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { freePort } from '../../servers/free-port.ts';
import { SwitchyardProcess } from '../../servers/switchyard-process.ts';
import { DataLock } from '../../supervisor/data-lock.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** What `serve` says when it ends by itself, and its exit code. */
async function refused(settings: Record<string, string>): Promise<{ said: string; code: unknown }> {
  const all = {
    'admin.listen': `127.0.0.1:${await freePort()}`,
    'proxy.listen': `127.0.0.1:${await freePort()}`,
    'proxy.replicaListen': `127.0.0.1:${await freePort()}`,
    ...settings,
  };
  const serve = spawn(
    process.execPath,
    [
      join(import.meta.dirname, '../../main.ts'),
      'serve',
      ...Object.entries(all).flatMap(([key, value]) => ['--set', `${key}=${value}`]),
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  try {
    const [said, [code]] = await Promise.all([text(serve.stderr), once(serve, 'exit')]);
    return { said, code };
  } finally {
    serve.kill('SIGKILL');
  }
}

test('a port that somebody else has: serve says which, and ends', async () => {
  using folder = temporaryFolder();
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  try {
    const { said, code } = await refused({ dataDir: folder.path, 'proxy.replicaListen': `127.0.0.1:${port}` });
    expect(said).toContain(`PORT_IN_USE: cannot listen on 127.0.0.1:${port}`);
    expect(code).not.toBe(0);
  } finally {
    taken.close();
  }
});

test('a data directory that another supervisor has is refused, though its control socket is gone', async () => {
  using folder = temporaryFolder();
  using _lock = new DataLock(join(folder.path, 'lock.sqlite'));
  expect((await refused({ dataDir: folder.path })).said).toContain('PORT_IN_USE: another switchyard runs on this data');
});

test('a data directory that cannot be used, and a damaged state in it: one line says so, and what to do', async () => {
  using folder = temporaryFolder();
  writeFileSync(join(folder.path, 'state.sqlite'), 'half of something'.repeat(100));
  for (const dataDir of [folder.path, join(folder.path, 'state.sqlite')]) {
    const { said, code } = await refused({ dataDir });
    expect(said).toMatch(/^DATA_DIR_UNUSABLE: .*\nWhat to do: .*\n$/);
    expect(code).toBe(1);
  }
});

test('proxies that outlived their supervisor are adopted, though its control socket is gone', async () => {
  await using switchyard = await SwitchyardProcess.start({ settings: ['proxy.workers=1'] });
  const workers = switchyard.pids('proxy');
  await switchyard.killSupervisor();
  // As a takeover leaves it that failed, or a start.
  rmSync(join(switchyard.dataDir, 'control.sock'));
  await switchyard.startProcess();
  expect(switchyard.pids('proxy')).toEqual(workers);
});
