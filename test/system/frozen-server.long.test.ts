import { expect, test } from 'vitest';
import { IMPORT, Rehearsal } from '../support/rehearsal.ts';

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

for (const frozen of ['source', 'target'] as const) {
  test(`a ${frozen} that has stopped answering keeps no engine, and no supervisor, from ending; nothing is lost by that`, async () => {
    await using rehearsal = await Rehearsal.start({ rows: 40_000 });
    const { switchyard } = rehearsal;
    // Small chunks: the copy is under way when the server stops.
    await switchyard.client.createImport(rehearsal.request({ options: { chunkBytes: 16 * 1024, connections: 1 } }));
    await rehearsal.reach('copying');
    const { pid } = rehearsal[frozen];
    if (pid === null) throw new Error('not a server of this machine');
    process.kill(pid, 'SIGSTOP');
    const engines = switchyard.pids('engine');
    await switchyard.killSupervisor();
    await expect.poll(() => engines.filter(isRunning), { timeout: 40_000 }).toEqual([]);
    await switchyard.startProcess();
    await switchyard.stop();
    expect(switchyard.pids('engine').filter(isRunning)).toEqual([]);
    expect(switchyard.log()).not.toContain('has not ended though it was told to');
    process.kill(pid, 'SIGCONT');
    await switchyard.startProcess();
    await rehearsal.reach('running');
    await switchyard.client.verify(IMPORT);
    await rehearsal.verdict('equal');
  });
}
