import type { Finding, ImportOptions } from '../api.ts';
import { errnoOf, textOf } from '../server/connection.ts';
import { replicaChannels } from '../server/replica-channels.ts';
import { preparedXa } from '../server/prepared-xa.ts';
import { SIDECAR_SCHEMA } from '../sidecar.ts';
import { checkDurability } from './check-durability.ts';
import { finding } from './finding.ts';
import { howToSet } from './provider.ts';
import { isAtLeast, type ServerView } from './server-view.ts';

const RETENTION_MIN_S = 2 * 24 * 3600;

/** Whether changes can be followed from this server's binary log: of both sides, since both directions are followed. */
export async function checkBinlog(
  view: ServerView,
  { database, reverse }: { database: string; reverse: ImportOptions['reverse'] },
): Promise<Finding[]> {
  const { side, variables, facts, provider } = view;
  const findings: Finding[] = [];
  const setting = (name: string) => (variables.get(name) ?? '').toUpperCase();
  if (setting('log_bin') !== 'ON') return [finding('BINLOG_OFF', side, 'log_bin', 'log_bin is OFF')];
  if (facts.flavor === 'mysql' && setting('gtid_mode') !== 'ON') {
    const how = provider === 'self-managed' ? undefined : howToSet(provider, 'gtid_mode', 'ON');
    findings.push(
      finding('GTID_MODE_OFF', side, 'gtid_mode', `gtid_mode is ${setting('gtid_mode') || 'unknown'}`, how),
    );
  }
  // MySQL 9 and later may have lost the variable; there is no other format then.
  if (!['ROW', ''].includes(setting('binlog_format'))) {
    findings.push(
      finding(
        'BINLOG_FORMAT',
        side,
        'binlog_format',
        `binlog_format is ${setting('binlog_format')}`,
        howToSet(provider, 'binlog_format', 'ROW'),
      ),
    );
  }
  if (!['FULL', ''].includes(setting('binlog_row_image'))) {
    findings.push(
      finding(
        'BINLOG_ROW_IMAGE',
        side,
        'binlog_row_image',
        `binlog_row_image is ${setting('binlog_row_image')}`,
        howToSet(provider, 'binlog_row_image', 'FULL'),
      ),
    );
  }
  if (setting('binlog_row_value_options').includes('PARTIAL_JSON')) {
    findings.push(
      finding(
        'BINLOG_PARTIAL_JSON',
        side,
        'binlog_row_value_options',
        'binlog_row_value_options is PARTIAL_JSON',
        howToSet(provider, 'binlog_row_value_options', "''"),
      ),
    );
  }
  if (setting('binlog_transaction_compression') === 'ON' || setting('log_bin_compress') === 'ON') {
    findings.push(finding('BINLOG_COMPRESSED', side, null, 'the binary log is compressed'));
  }
  const prepared = (await preparedXa(view.connection)) ?? 0;
  if (prepared > 0) findings.push(finding('XA_PREPARED', side, null, `${prepared} XA transactions are prepared`));
  findings.push(
    // Otherwise the target's log is followed from the switch on, which asks then: until there it may be in a hurry.
    ...(side === 'source' || reverse === 'always' ? checkDurability(view) : []),
    ...(await checkRetention(view)),
    ...(await checkFilter(view, database)),
    ...(await checkReplicated(view)),
  );
  return findings;
}

/** What a replica receives is in its own log only if it says so; no fence keeps it out. */
async function checkReplicated({ side, variables, connection, facts }: ServerView): Promise<Finding[]> {
  const channels = await replicaChannels(connection, facts.flavor);
  if (channels.length === 0) return [];
  const logged = variables.get('log_replica_updates') ?? variables.get('log_slave_updates');
  const from = channels.map((channel) => channel.from).join(', ');
  return [
    finding('REPLICATED_FROM_ELSEWHERE', side, from, `the server is a replica of ${from}`),
    ...(logged === 'OFF'
      ? [
          finding(
            'REPLICATED_NOT_LOGGED',
            side,
            'log_replica_updates',
            'the server is a replica, and log_replica_updates (log_slave_updates) is OFF',
          ),
        ]
      : []),
  ];
}

async function checkRetention(view: ServerView): Promise<Finding[]> {
  const { side, variables, provider } = view;
  if (provider === 'rds' || provider === 'aurora') {
    const hours = await rdsRetentionHours(view);
    if (hours !== undefined && (hours ?? 0) <= 48) {
      const message =
        hours === null
          ? 'binlog retention hours is not set: logs are purged at once'
          : `binlog retention hours is ${hours}`;
      return [
        finding(
          'BINLOG_RETENTION',
          side,
          'binlog retention hours',
          message,
          "CALL mysql.rds_set_configuration('binlog retention hours', 168);",
        ),
      ];
    }
    return [];
  }
  if (variables.get('binlog_expire_logs_auto_purge') === 'OFF') return [];
  const seconds =
    Number(variables.get('binlog_expire_logs_seconds') ?? 0) || Number(variables.get('expire_logs_days') ?? 0) * 86_400;
  // 0 in both is for ever.
  if (seconds === 0 || seconds > RETENTION_MIN_S) return [];
  const known = variables.has('binlog_expire_logs_seconds');
  const how = known
    ? howToSet(provider, 'binlog_expire_logs_seconds', '604800')
    : howToSet(provider, 'expire_logs_days', '7');
  return [
    finding(
      'BINLOG_RETENTION',
      side,
      known ? 'binlog_expire_logs_seconds' : 'expire_logs_days',
      `the binary log is kept for ${seconds / 3600} hours`,
      how,
    ),
  ];
}

/** Null where it is not set, undefined where it cannot be read. */
async function rdsRetentionHours({ connection }: ServerView): Promise<number | null | undefined> {
  try {
    const [row] = await connection.rows(
      "SELECT value FROM mysql.rds_configuration WHERE name = 'binlog retention hours'",
    );
    return row === undefined ? undefined : row[0] === null ? null : Number(row[0]);
  } catch (error) {
    if (errnoOf(error) === 0) throw error;
    return undefined;
  }
}

async function checkFilter(view: ServerView, database: string): Promise<Finding[]> {
  const { connection, facts, side } = view;
  const sql = facts.flavor === 'mysql' && isAtLeast(view, 8, 2) ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS';
  const row = await connection.selectOne<Record<string, string | null>>(sql).catch((error: unknown) => {
    // Without REPLICATION CLIENT, which is a finding of its own.
    if (errnoOf(error) === 0) throw error;
    return undefined;
  });
  const names = (column: string) =>
    (row?.[column] ?? '')
      .split(',')
      .filter((name) => name !== '')
      .map((name) => textOf(name));
  const only = names('Binlog_Do_DB');
  const without = names('Binlog_Ignore_DB');
  // Without `_switchyard` our own writes could not be told from others in it (I7).
  const left = [database, SIDECAR_SCHEMA].filter(
    (name) => (only.length > 0 && !only.includes(name)) || without.includes(name),
  );
  if (left.length === 0) return [];
  return [
    finding(
      'BINLOG_FILTERED',
      side,
      database,
      `the binary log leaves out ${left.join(' and ')} (binlog-do-db: ${only.join(', ') || '-'}; binlog-ignore-db: ${without.join(', ') || '-'})`,
    ),
  ];
}
