import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';

const MIB = 1024 * 1024;
const FULL = { code: 'DATA_DIR_UNUSABLE' };

function mountable(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder]);
    return true;
  } catch {
    return false;
  }
}

/** Takes all that is left. */
function fill(folder: string): void {
  const file = join(folder, 'filler');
  for (const bytes of [MIB, 1024, 1])
    for (;;) {
      try {
        writeFileSync(file, Buffer.alloc(bytes), { flag: 'a' });
      } catch {
        break;
      }
    }
}

test.runIf(mountable())(
  'a full disk under the data directory and the log: traffic goes on, what has to be stored is refused, and all is well with room',
  async () => {
    await using rehearsal = await Rehearsal.start({ rows: 2000 });
    const { switchyard } = rehearsal;
    const { client, dataDir } = switchyard;
    await switchyard.stop();
    const aside = mkdtempSync(join(tmpdir(), 'switchyard-aside-'));
    cpSync(dataDir, aside, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', dataDir]);
    try {
      cpSync(aside, dataDir, { recursive: true });
      await switchyard.startProcess();
      await client.createImport(rehearsal.request());
      const traffic = rehearsal.traffic();
      await rehearsal.reach('running');
      fill(dataDir);
      const pids = [switchyard.supervisorPid, ...switchyard.pids('proxy'), ...switchyard.pids('engine')];
      for (let attempt = 0; attempt < 3; attempt += 1) {
        await expect(client.switchTraffic(IMPORT, { kind: 'primaries' })).rejects.toMatchObject(FULL);
        await expect(client.verify(IMPORT)).rejects.toMatchObject(FULL);
        expect(await client.getImport(IMPORT)).toMatchObject({ phase: 'running', error: null });
      }
      expect(await rehearsal.asApplication('SELECT 1 AS one')).toEqual([{ one: 1 }]);
      rmSync(join(dataDir, 'filler'));
      await client.switchTraffic(IMPORT, { kind: 'primaries' });
      // Each had something to say, which the full disk under the log did not take.
      for (const pid of pids) process.kill(pid, 0);
      await traffic.stop();
      expect(traffic.errors).toEqual([]);
      expect(await rehearsal.ledger(traffic, rehearsal.target)).toMatchObject({ exact: true, lost: 0 });
    } finally {
      await switchyard.stop();
      execFileSync('umount', ['--lazy', dataDir]);
      rmSync(aside, { recursive: true });
    }
  },
);
