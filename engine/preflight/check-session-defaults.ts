import type { Finding } from '../api.ts';
import { finding } from './finding.ts';

/**
 * Global variables that a session begins with and an application may rely on without ever naming them: after the switch it
 * has those of the other server. Each by its names, the newer one first, and in the form in which both families can be compared.
 */
export const SESSION_DEFAULTS: readonly { names: string[]; form?: (value: string) => string }[] = [
  { names: ['transaction_isolation', 'tx_isolation'] },
  { names: ['transaction_read_only', 'tx_read_only'], form: truth },
  { names: ['autocommit'], form: truth },
  { names: ['init_connect'] },
  { names: ['group_concat_max_len'] },
  { names: ['innodb_lock_wait_timeout'] },
  { names: ['lock_wait_timeout'] },
  { names: ['wait_timeout'] },
  { names: ['interactive_timeout'] },
  { names: ['sql_select_limit'] },
  { names: ['sql_safe_updates'], form: truth },
  { names: ['explicit_defaults_for_timestamp'], form: truth },
  { names: ['foreign_key_checks'], form: truth },
  { names: ['default_week_format'] },
  { names: ['div_precision_increment'] },
  { names: ['lc_time_names'] },
];

/** Of those that both servers have. */
export function checkSessionDefaults(
  source: ReadonlyMap<string, string>,
  target: ReadonlyMap<string, string>,
): Finding[] {
  const differences = SESSION_DEFAULTS.flatMap(({ names, form = asIs }) => {
    const [here, there] = [source, target].map((variables) => names.map((name) => variables.get(name)).find(isGiven));
    if (here === undefined || there === undefined || form(here) === form(there)) return [];
    return [`${names[0]} (${here || "''"} on the source, ${there || "''"} on the target)`];
  });
  if (differences.length === 0) return [];
  const message = `sessions begin with other values on the target: ${differences.join(', ')}`;
  return [finding('SESSION_DEFAULTS_DIFFERENT', 'target', 'global variables', message)];
}

function isGiven(value: string | undefined): value is string {
  return value !== undefined;
}

function asIs(value: string): string {
  return value;
}

function truth(value: string): string {
  return value === 'ON' || value === '1' ? 'ON' : 'OFF';
}
