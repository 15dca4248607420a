import type { FlavorSpec } from './flavor.ts';

export interface ServerIdentity {
  serverId: number;
  port: number;
}

const BOTH: readonly string[] = [
  '--log-bin=binlog',
  '--binlog-format=ROW',
  '--binlog-row-image=FULL',
  '--binlog-row-metadata=FULL',
  '--binlog-expire-logs-seconds=604800',
  '--local-infile=ON',
  '--secure-file-priv=',
  '--skip-name-resolve',
  '--character-set-server=utf8mb4',
  '--max-connections=600',
  '--max-allowed-packet=1G',
  '--innodb-buffer-pool-size=256M',
];

const MYSQL: readonly string[] = ['--gtid-mode=ON', '--enforce-gtid-consistency=ON', '--mysqlx=OFF'];

const MARIADB: readonly string[] = ['--gtid-strict-mode=ON', '--log-slave-updates=ON'];

/**
 * For tests, which start hundreds of servers (SWITCHYARD_SERVERS_LIGHT, set in vitest.config.ts). InnoDB does not wait for the
 * disk: what it has written outlives a killed server, though not the machine. Every variable that Switchyard looks at is as in
 * production, sync_binlog too. And a hundred megabytes that nothing here reads are not laid out at each start.
 */
const LIGHT: Record<FlavorSpec['family'], readonly string[]> = {
  mysql: [
    '--innodb-flush-method=nosync',
    '--innodb-log-buffer-size=8M',
    '--max-digest-length=0',
    '--performance-schema-max-digest-length=0',
    '--performance-schema-digests-size=0',
    '--performance-schema-error-size=0',
    '--performance-schema-events-statements-history-long-size=0',
    '--performance-schema-events-transactions-history-long-size=0',
  ],
  mariadb: ['--debug-no-sync', '--innodb-flush-method=nosync'],
};

/**
 * What a server is started with whether it is source or target: the reverse stream reads the target's binlog as the
 * forward one reads the source's. Outside tests durability stays at the servers' defaults, as in production.
 */
export function serverOptions(family: FlavorSpec['family'], { serverId, port }: ServerIdentity): string[] {
  const light = process.env['SWITCHYARD_SERVERS_LIGHT'] === 'yes' ? LIGHT[family] : [];
  return [...BOTH, ...(family === 'mysql' ? MYSQL : MARIADB), ...light, `--server-id=${serverId}`, `--port=${port}`];
}
