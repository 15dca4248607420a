import { runCommand } from '../../servers/run-command.ts';
import { serverBinary } from '../../servers/installation.ts';
import { timed, type CopyPeer, type CopyStage } from '../copy/copy-stage.ts';
import { SYSBENCH_DATABASE } from '../sysbench-tables.ts';
import { programVersion } from './program-version.ts';

/** `mysqldump | mysql`, the programs of the servers' own version. Null where they are not. */
export async function mysqldumpPeer({ source, target }: CopyStage): Promise<CopyPeer | null> {
  const programs = await Promise.all([serverBinary('mysqldump'), serverBinary('mysql')]).catch(() => null);
  if (programs === null) return null;
  const [mysqldump, mysql] = programs;
  const version = await programVersion(mysqldump, ['--version'], /Ver (\S+)/);
  if (version === null) return null;
  const login = (server: CopyStage['source']) =>
    `-h${server.host} -P${server.port} -u${server.adminUser} -p${server.adminPassword} --ssl-mode=DISABLED --get-server-public-key`;
  const dump = `"${mysqldump}" --no-defaults ${login(source)} --single-transaction --set-gtid-purged=OFF --databases ${SYSBENCH_DATABASE}`;
  const pipe = `set -o pipefail; ${dump} | "${mysql}" --no-defaults ${login(target)}`;
  return { name: 'mysqldump', version, copy: async () => timed(async () => runCommand('bash', ['-c', pipe])) };
}
