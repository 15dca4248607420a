import type { Finding, ImportOptions } from '../api.ts';
import { SIDECAR_SCHEMA } from '../sidecar.ts';
import { quoted } from '../schema/target-ddl.ts';
import { finding } from './finding.ts';
import type { Grants } from './grants.ts';
import type { ServerView } from './server-view.ts';

const SIDECAR = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'CREATE', 'DROP'];
const TARGET = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'CREATE', 'DROP', 'ALTER', 'INDEX', 'REFERENCES'];
/** The stream of the other direction writes on the source. */
const SOURCE = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'];
const FOLLOW = ['REPLICATION SLAVE', 'REPLICATION CLIENT'];

/** Every privilege by name, with the statement that grants it. */
export function checkGrants(
  view: ServerView,
  grants: Grants,
  { database, tables, reverse }: { database: string; tables: readonly string[]; reverse: ImportOptions['reverse'] },
): Finding[] {
  const { side } = view;
  const isReadOnly = side === 'source' && reverse === 'off';
  const missing = (privilege: string, place: string, why: string) =>
    finding(
      'GRANT_MISSING',
      side,
      privilege,
      `${grants.account} lacks ${privilege} ON ${place}: ${why}`,
      `GRANT ${privilege} ON ${place} TO ${grants.account};`,
    );
  const onServer = FOLLOW.filter(
    (privilege) => !grants.onServer(privilege) && !(privilege === 'REPLICATION CLIENT' && grants.onServer('SUPER')),
  );
  const onSchema =
    side === 'source'
      ? (isReadOnly ? ['SELECT'] : SOURCE).filter((privilege) => !grants.onTables(privilege, database, tables))
      : TARGET.filter((privilege) => !grants.onSchema(privilege, database));
  const onSidecar = isReadOnly ? [] : SIDECAR.filter((privilege) => !grants.onSchema(privilege, SIDECAR_SCHEMA));
  return [
    ...onServer.map((privilege) => missing(privilege, '*.*', 'it is needed to follow the binary log')),
    ...onSchema.map((privilege) =>
      missing(
        privilege,
        `${quoted(database)}.*`,
        side === 'source' && privilege !== 'SELECT'
          ? 'it is needed to replicate back'
          : 'it is needed to copy and replicate',
      ),
    ),
    ...onSidecar.map((privilege) => missing(privilege, `${quoted(SIDECAR_SCHEMA)}.*`, 'progress is kept there')),
    ...checkFence(view, grants, database),
    ...(side === 'target' || isReadOnly || grants.onTables('ALTER', database, tables)
      ? []
      : [
          finding(
            'GRANT_ALTER_MISSING',
            side,
            'ALTER',
            `${grants.account} lacks ALTER ON ${quoted(database)}.*`,
            `GRANT ALTER ON ${quoted(database)}.* TO ${grants.account};`,
          ),
        ]),
    ...(grants.onServer('PROCESS')
      ? []
      : [
          finding(
            'GRANT_PROCESS_MISSING',
            side,
            'PROCESS',
            `${grants.account} lacks PROCESS ON *.*`,
            `GRANT PROCESS ON *.* TO ${grants.account};`,
          ),
        ]),
  ];
}

function checkFence({ side, facts }: ServerView, grants: Grants, database: string): Finding[] {
  const readOnly =
    facts.flavor === 'mariadb'
      ? grants.onServer('READ ONLY ADMIN') || grants.onServer('SUPER')
      : grants.onServer('SUPER') || (grants.onServer('CONNECTION_ADMIN') && grants.onServer('SYSTEM_VARIABLES_ADMIN'));
  if (readOnly || grants.onSchema('TRIGGER', database)) return [];
  const server = facts.flavor === 'mariadb' ? 'READ_ONLY ADMIN' : 'CONNECTION_ADMIN, SYSTEM_VARIABLES_ADMIN';
  return [
    finding(
      'GRANT_FENCE_MISSING',
      side,
      'fence',
      `${grants.account} has neither ${server} ON *.* nor TRIGGER ON ${quoted(database)}.*`,
      `GRANT TRIGGER ON ${quoted(database)}.* TO ${grants.account}; or: GRANT ${server} ON *.* TO ${grants.account};`,
    ),
  ];
}
