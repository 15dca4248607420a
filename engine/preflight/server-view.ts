import type { Side } from '../../core/phase.ts';
import type { ServerFacts } from '../api.ts';
import { globalVariables, serverFacts } from '../schema/inspect.ts';
import type { ServerConnection } from '../server/connection.ts';
import { DURABILITY_VARIABLES } from './check-durability.ts';
import { SESSION_DEFAULTS } from './check-session-defaults.ts';
import { detectProvider, type Provider } from './provider.ts';

const VARIABLES = [
  ...DURABILITY_VARIABLES,
  ...SESSION_DEFAULTS.flatMap(({ names }) => names),
  'binlog_expire_logs_auto_purge',
  'binlog_expire_logs_seconds',
  'binlog_format',
  'binlog_row_image',
  'binlog_row_value_options',
  'binlog_transaction_compression',
  'expire_logs_days',
  'gtid_mode',
  'innodb_native_foreign_keys',
  'local_infile',
  'log_bin',
  'log_bin_compress',
  'log_replica_updates',
  'log_slave_updates',
  'lower_case_table_names',
  'max_allowed_packet',
  'sql_mode',
  'system_time_zone',
  'time_zone',
];

/** What the checks need to know of one server, read once. */
export interface ServerView {
  side: Side;
  connection: ServerConnection;
  facts: ServerFacts;
  provider: Provider;
  variables: Map<string, string>;
  version: { major: number; minor: number; patch: number };
}

export async function viewServer(side: Side, connection: ServerConnection): Promise<ServerView> {
  const facts = await serverFacts(connection);
  const [major = 0, minor = 0, patch = 0] = /^(\d+)\.(\d+)\.(\d+)/.exec(facts.version)?.slice(1).map(Number) ?? [];
  return {
    side,
    connection,
    facts,
    provider: await detectProvider(connection),
    variables: await globalVariables(connection, VARIABLES),
    version: { major, minor, patch },
  };
}

export function isAtLeast({ version }: ServerView, major: number, minor: number): boolean {
  return version.major > major || (version.major === major && version.minor >= minor);
}
