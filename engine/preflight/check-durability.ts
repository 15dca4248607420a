import type { Finding } from '../api.ts';
import type { Side } from '../../core/phase.ts';
import { finding } from './finding.ts';
import { howToSet, type Provider } from './provider.ts';

/** What a server must have on disk at each commit, if its log is followed; the values that see to it. */
const DURABLE: Record<string, readonly string[]> = {
  sync_binlog: ['1'],
  // 3 is MariaDB's: to disk at the prepare, too.
  innodb_flush_log_at_trx_commit: ['1', '3'],
};

export const DURABILITY_VARIABLES = Object.keys(DURABLE);

interface JudgedServer {
  side: Side;
  variables: ReadonlyMap<string, string>;
  provider: Provider;
}

/** Of a server whose log is followed: whether it comes back from a crash with all that others have read in it. */
export function checkDurability({ side, variables, provider }: JudgedServer): Finding[] {
  const loose = DURABILITY_VARIABLES.filter((name) => {
    const value = variables.get(name);
    return value !== undefined && DURABLE[name]?.includes(value) !== true;
  });
  if (loose.length === 0) return [];
  return [
    finding(
      'BINLOG_NOT_DURABLE',
      side,
      loose[0] ?? null,
      loose.map((name) => `${name} is ${variables.get(name)}`).join(', '),
      loose.map((name) => howToSet(provider, name, '1')).join(' '),
    ),
  ];
}
