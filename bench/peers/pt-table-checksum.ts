import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { RunningServer } from '../../servers/running-server.ts';
import { SYSBENCH_DATABASE } from '../sysbench-tables.ts';

const run = promisify(execFile);

/** Percona's checksums of one side; null where the program is absent or does not work with this server. */
export async function ptTableChecksum(server: RunningServer): Promise<{ version: string; ms: number | null }> {
  const version = await run('pt-table-checksum', ['--version']).then(
    ({ stdout }) => /\d+(?:\.\d+)+/.exec(stdout)?.[0] ?? 'unknown',
    () => null,
  );
  if (version === null) return { version: 'absent', ms: null };
  const startedAtMs = performance.now();
  const args = [
    `--host=${server.host}`,
    `--port=${server.port}`,
    `--user=${server.adminUser}`,
    `--password=${server.adminPassword}`,
    `--databases=${SYSBENCH_DATABASE}`,
    '--recursion-method=none',
    '--no-check-binlog-format',
    '--no-version-check',
  ];
  return await run('pt-table-checksum', args).then(
    () => ({ version, ms: Math.round(performance.now() - startedAtMs) }),
    () => ({ version: `${version}, does not work with this server`, ms: null }),
  );
}
