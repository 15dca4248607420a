import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SwitchyardProcess } from '../../servers/switchyard-process.ts';

test('an engine whose supervisor died while it started leaves the next one alone (soak seed 2539371297)', async () => {
  await using switchyard = await SwitchyardProcess.start();
  // As one that connects late: this supervisor has not started it.
  const orphan = spawn(
    process.execPath,
    [join(import.meta.dirname, '../../main.ts'), 'run-engine', '--set', `dataDir=${switchyard.dataDir}`],
    { stdio: 'ignore' },
  );
  try {
    expect(await once(orphan, 'exit')).toEqual([0, null]);
    expect(await switchyard.client.listImports()).toEqual([]);
    expect(switchyard.pids('engine')).toHaveLength(1);
  } finally {
    orphan.kill('SIGKILL');
  }
});
