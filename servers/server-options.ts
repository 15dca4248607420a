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
 * What a server is started with whether it is source or target: the reverse stream reads the target's binlog as the
 * forward one reads the source's. Durability stays at the servers' defaults, as in production.
 */
export function serverOptions(family: FlavorSpec['family'], { serverId, port }: ServerIdentity): string[] {
  return [...BOTH, ...(family === 'mysql' ? MYSQL : MARIADB), `--server-id=${serverId}`, `--port=${port}`];
}
