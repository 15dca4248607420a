import path from 'node:path';
import { runCommand } from '../../servers/run-command.ts';
import { timed, withFolder, type CopyPeer, type CopyStage } from '../copy/copy-stage.ts';
import { SYSBENCH_DATABASE } from '../sysbench-tables.ts';
import { programVersion } from './program-version.ts';

/**
 * mydumper into files, then myloader from them, two threads each, as one would run them one after the other. The binary
 * log stays on, as for everybody here: without it the target's own replicas would miss the rows. Null where they are not.
 */
export async function mydumperPeer({ source, target, folder }: CopyStage): Promise<CopyPeer | null> {
  const version = await programVersion('mydumper', ['--version'], /mydumper ([\d.]+)/);
  if (version === null || (await programVersion('myloader', ['--version'], /myloader ([\d.]+)/)) === null) return null;
  const login = (server: CopyStage['source']) =>
    [
      '-h',
      server.host,
      '-P',
      String(server.port),
      '-u',
      server.adminUser,
      '-p',
      server.adminPassword,
      '-t',
      '2',
    ] as const;
  return {
    name: 'mydumper',
    version,
    copy: async () =>
      withFolder(folder, async (into) => {
        const dump = path.join(into, 'dump');
        return timed(async () => {
          await runCommand('mydumper', [...login(source), '-B', SYSBENCH_DATABASE, '-o', dump]);
          await runCommand('myloader', [...login(target), '-d', dump, '-e']);
        });
      }),
  };
}
