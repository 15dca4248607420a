import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { freePort } from '../../servers/free-port.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('a port that somebody else has: serve says which, and ends', async () => {
  using folder = temporaryFolder();
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const settings = [
    `dataDir=${folder.path}`,
    `admin.listen=127.0.0.1:${await freePort()}`,
    `proxy.listen=127.0.0.1:${await freePort()}`,
    `proxy.replicaListen=127.0.0.1:${port}`,
  ];
  const serve = spawn(
    process.execPath,
    [join(import.meta.dirname, '../../main.ts'), 'serve', ...settings.flatMap((setting) => ['--set', setting])],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  try {
    const [said, [code]] = await Promise.all([text(serve.stderr), once(serve, 'exit')]);
    expect(said).toContain(`PORT_IN_USE: cannot listen on 127.0.0.1:${port}`);
    expect(code).not.toBe(0);
  } finally {
    serve.kill('SIGKILL');
    taken.close();
  }
});
