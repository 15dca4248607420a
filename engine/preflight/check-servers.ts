import type { Finding } from '../api.ts';
import { finding } from './finding.ts';
import { checkSessionDefaults } from './check-session-defaults.ts';
import { isAtLeast, type ServerView } from './server-view.ts';

/** Versions that Switchyard is tested with, as oldest of each. */
const OLDEST = { source: { mysql: [5, 7], mariadb: [10, 5] }, target: { mysql: [8, 0], mariadb: [0, 0] } } as const;

/** One server by itself. */
export function checkVersion(view: ServerView): Finding[] {
  const { side, facts } = view;
  if (side === 'target' && facts.flavor !== 'mysql')
    return [finding('TARGET_NOT_MYSQL', side, null, `the target is MariaDB ${facts.version}`)];
  if (facts.flavor === 'mysql' && !isAtLeast(view, 5, 7))
    return [finding('VERSION_TOO_OLD', side, null, `the ${side} is MySQL ${facts.version}`)];
  const [major, minor] = OLDEST[side][facts.flavor];
  if (isAtLeast(view, major, minor)) return [];
  return [
    finding(
      'VERSION_UNSUPPORTED',
      side,
      null,
      `the ${side} is ${facts.flavor === 'mysql' ? 'MySQL' : 'MariaDB'} ${facts.version}`,
    ),
  ];
}

/** How the two fit together. */
export function checkPair(source: ServerView, target: ServerView): Finding[] {
  return [
    ...(source.facts.serverUuid === target.facts.serverUuid
      ? [finding('SAME_SERVER', 'target', null, `source and target have the same identity, ${source.facts.serverUuid}`)]
      : []),
    ...checkDowngrade(source, target),
    ...checkLowerCase(source, target),
    ...checkTimeZone(source, target),
    ...checkSqlMode(source, target),
    ...checkPacket(source, target),
    ...checkSessionDefaults(source.variables, target.variables),
    ...(target.variables.get('local_infile') === 'ON'
      ? []
      : [finding('LOCAL_INFILE_OFF', 'target', 'local_infile', 'local_infile is OFF')]),
  ];
}

function checkDowngrade(source: ServerView, target: ServerView): Finding[] {
  if (source.facts.flavor !== 'mysql' || isAtLeast(target, source.version.major, source.version.minor)) return [];
  return [
    finding(
      'VERSION_DOWNGRADE',
      'target',
      null,
      `the source is ${source.facts.version}, the target ${target.facts.version}`,
    ),
  ];
}

function checkLowerCase(source: ServerView, target: ServerView): Finding[] {
  const [here, there] = [
    source.variables.get('lower_case_table_names'),
    target.variables.get('lower_case_table_names'),
  ];
  if (here === there) return [];
  return [
    finding(
      'LOWER_CASE_TABLE_NAMES',
      'target',
      'lower_case_table_names',
      `lower_case_table_names is ${here} on the source and ${there} on the target`,
    ),
  ];
}

function checkTimeZone(source: ServerView, target: ServerView): Finding[] {
  const zone = ({ variables }: ServerView) => {
    const own = variables.get('time_zone') ?? 'SYSTEM';
    return own === 'SYSTEM' ? (variables.get('system_time_zone') ?? 'SYSTEM') : own;
  };
  const [here, there] = [zone(source), zone(target)];
  if (here === there || [here, there].every((name) => UTC.has(name))) return [];
  return [finding('TIME_ZONE_DIFFERENT', 'target', 'time_zone', `the source runs in ${here}, the target in ${there}`)];
}

const UTC = new Set(['UTC', '+00:00', 'Etc/UTC', 'GMT']);

function checkSqlMode(source: ServerView, target: ServerView): Finding[] {
  const modes = ({ variables }: ServerView) =>
    new Set((variables.get('sql_mode') ?? '').split(',').filter((mode) => mode !== ''));
  const [here, there] = [modes(source), modes(target)];
  // MySQL 8 removed it: it is no choice of anybody.
  here.delete('NO_AUTO_CREATE_USER');
  const differences = [...here.symmetricDifference(there)].sort();
  if (differences.length === 0) return [];
  const described = differences.map((mode) => `${mode} (${here.has(mode) ? 'source' : 'target'} only)`);
  return [finding('SQL_MODE_DIFFERENT', 'target', 'sql_mode', `sql_mode differs: ${described.join(', ')}`)];
}

function checkPacket(source: ServerView, target: ServerView): Finding[] {
  const bytes = ({ variables }: ServerView) => Number(variables.get('max_allowed_packet') ?? 0);
  if (bytes(target) >= bytes(source)) return [];
  return [
    finding(
      'MAX_ALLOWED_PACKET',
      'target',
      'max_allowed_packet',
      `max_allowed_packet is ${bytes(source)} on the source and ${bytes(target)} on the target`,
      `SET GLOBAL max_allowed_packet = ${bytes(source)}; on the target, and in its configuration file.`,
    ),
  ];
}
