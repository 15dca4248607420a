import type { ServerFacts, UserView } from '../api.ts';
import type { AccountName } from '../switch/accounts.ts';
import { commonClauses, isLocked, tlsOf, type CreateUser } from './create-user.ts';
import {
  completedGrant,
  cutGrants,
  grantsElsewhere,
  missingGrant,
  privilegesText,
  scopeText,
  type GrantPlace,
} from './cut-grants.ts';
import type { PrivilegeGrant } from './grant-statement.ts';
import { accountKey, accountLabel, accountText, defaultRolesOf, rolesOf, type ServerUser } from './server-user.ts';

/** What is known of both servers beside the accounts. */
export interface UserPair {
  database: string;
  flavors: { from: ServerFacts['flavor']; to: ServerFacts['flavor'] };
  partialRevokes: { from: boolean; to: boolean };
  /** Ways to log in that `to` has. */
  plugins: ReadonlySet<string>;
  /** Whether the fence on `to` locks accounts: it is no difference then. */
  isFenced: boolean;
  /** Names of those that Switchyard created on `to`. */
  ours: ReadonlySet<string>;
}

/** One account with what is to be done for it on the other side. */
export interface UserPlan {
  name: AccountName;
  view: UserView;
  isOurs: boolean;
  /** Null where it is there. */
  create: CreateStatement | null;
  /** What is to be given to it: privileges, roles. Without secrets. */
  permissions: string[];
}

interface CreateStatement {
  /** With the hash; null where none can come along. A secret. */
  secret: string | null;
  /** Where the hash was, something is left to be filled in that no server takes. */
  blank: string;
}

export function planUser(
  user: ServerUser,
  there: { same: ServerUser | undefined; otherHosts: AccountName[] },
  { pair, concerned }: { pair: UserPair; concerned: ReadonlySet<string> },
): UserPlan {
  const from: GrantPlace = { database: pair.database, partialRevokes: pair.partialRevokes.from };
  const to: GrantPlace = { database: pair.database, partialRevokes: pair.partialRevokes.to };
  const asRole = (role: AccountName) => (pair.flavors.to === 'mariadb' ? { ...role, host: '' } : role);
  const name = user.isRole ? asRole(user.name) : user.name;
  const { same } = there;
  const known = knownPrivileges(cutGrants(user.grants, from), pair);
  const grants =
    same === undefined ? known.grants : known.grants.flatMap((grant) => missingGrant(grant, same.grants, to) ?? []);
  const isAmong = (accounts: readonly AccountName[], account: AccountName) =>
    accounts.some((other) => accountKey(other) === accountKey(account));
  const hasRoles = same === undefined ? [] : rolesOf(same.grants);
  const roles = rolesOf(user.grants).filter((role) => concerned.has(accountKey(role)) && !isAmong(hasRoles, role));
  const hasDefaults = same === undefined ? [] : defaultRolesOf(same);
  const defaultRoles = defaultRolesOf(user).filter(
    (role) => concerned.has(accountKey(role)) && !isAmong(hasDefaults, role),
  );
  const create = same === undefined ? createStatement(user, pair) : null;
  const obstacle = create === null ? null : obstacleOf(user, pair);
  const differences =
    same === undefined ? [] : [...lacks({ grants, roles, defaultRoles }), ...otherwise(user, same, { pair, from, to })];
  const view: UserView = {
    account: accountLabel(name),
    isRole: user.isRole,
    state: same === undefined ? 'absent' : differences.length > 0 ? 'different' : 'same',
    obstacle,
    differences,
    left: [...known.left, ...grantsElsewhere(user.grants, from)],
    otherHosts: there.otherHosts.map(accountLabel),
  };
  return {
    name,
    view,
    isOurs: pair.ours.has(accountKey(name)),
    create: create === null ? null : { ...create, secret: obstacle === null ? create.secret : null },
    permissions: [
      ...grants
        .map((grant) => (same === undefined ? grant : completedGrant(grant, same.grants, to)))
        .map(
          ({ privileges, scope, grantOption }) =>
            `GRANT ${privilegesText(privileges)} ON ${scopeText(scope, { literally: to.partialRevokes })} TO ${accountText(name)}` +
            (grantOption ? ' WITH GRANT OPTION' : ''),
        ),
      ...roles.map(
        (role) =>
          `GRANT ${accountText(asRole(role))} TO ${accountText(name)}${role.adminOption ? ' WITH ADMIN OPTION' : ''}`,
      ),
      ...(defaultRoles.length === 0
        ? []
        : [
            `SET DEFAULT ROLE ${defaultRoles.map((role) => accountText(asRole(role))).join(', ')} ` +
              `${pair.flavors.to === 'mariadb' ? 'FOR' : 'TO'} ${accountText(name)}`,
          ]),
    ],
  };
}

/** What MariaDB alone has. */
const MARIADB_ONLY = new Set(['DELETE HISTORY', 'DELETE VERSIONING ROWS', 'SHOW CREATE ROUTINE']);

function knownPrivileges(
  grants: readonly PrivilegeGrant[],
  { flavors }: UserPair,
): { grants: PrivilegeGrant[]; left: string[] } {
  const isUnknown = ({ name }: { name: string }) => flavors.to === 'mysql' && MARIADB_ONLY.has(name);
  return {
    grants: grants.flatMap((grant) => {
      const privileges = grant.privileges.filter((privilege) => !isUnknown(privilege));
      return privileges.length === 0 ? [] : [{ ...grant, privileges }];
    }),
    left: grants.flatMap((grant) => grant.privileges.filter(isUnknown).map(({ name }) => `${name}, which MySQL lacks`)),
  };
}

/** Why it cannot be created with the password that it has. */
function obstacleOf({ isRole, create }: ServerUser, { flavors, plugins }: UserPair): string | null {
  if (isRole && create === null) return null;
  if (create === null) return 'its definition is not understood';
  const [factor, ...more] = create.factors;
  if (flavors.from !== flavors.to || flavors.to !== 'mysql') {
    const how = create.factors.map(({ plugin }) => plugin).join(' or ') || 'no password';
    return `${flavors.from} and ${flavors.to} keep passwords in different forms (${how}): it needs its password again`;
  }
  if (factor === undefined || more.length > 0) return 'it logs in with several factors';
  if (!plugins.has(factor.plugin))
    return `the other server does not have ${factor.plugin}: it needs its password again`;
  return null;
}

/** For a role of MariaDB nothing secret has to come along. */
function createStatement({ name, isRole, create }: ServerUser, { flavors }: UserPair): CreateStatement {
  const account = accountText(name);
  if (isRole && (create === null || flavors.to === 'mariadb')) {
    const text = `CREATE ROLE ${accountText(flavors.to === 'mariadb' ? { ...name, host: '' } : name)}`;
    return { secret: text, blank: text };
  }
  const clauses = create === null ? [] : flavors.from === flavors.to ? create.clauses : commonClauses(create);
  const rest = clauses.map((clause) => ` ${clause}`).join('');
  const by = `BY <password of ${accountLabel(name)}>`;
  const identified = flavors.to === 'mysql' ? `IDENTIFIED WITH 'caching_sha2_password' ${by}` : `IDENTIFIED ${by}`;
  const [factor] = create?.factors ?? [];
  return {
    secret: factor === undefined ? null : `CREATE USER ${account} ${factorText(factor)}${rest}`,
    blank:
      factor?.secret === null && flavors.from === flavors.to
        ? `CREATE USER ${account} ${factorText(factor)}${rest}`
        : `CREATE USER ${account} ${identified}${rest}`,
  };
}

function factorText({ plugin, secret }: CreateUser['factors'][number]): string {
  return `IDENTIFIED WITH '${plugin.replaceAll("'", "''")}'${secret === null ? '' : ` AS ${secret}`}`;
}

function lacks({
  grants,
  roles,
  defaultRoles,
}: {
  grants: PrivilegeGrant[];
  roles: AccountName[];
  defaultRoles: AccountName[];
}): string[] {
  return [
    ...grants.map(
      ({ privileges, scope, grantOption }) =>
        `lacks ${privilegesText(privileges)} ON ${scopeText(scope, { literally: true })}${grantOption ? ' WITH GRANT OPTION' : ''}`,
    ),
    ...roles.map((role) => `lacks the role ${accountLabel(role)}`),
    ...defaultRoles.map((role) => `the role ${accountLabel(role)} is not active by default`),
  ];
}

/** Hashes with a salt of their own differ for the same password. */
const UNSALTED = new Set(['mysql_native_password']);

function otherwise(
  user: ServerUser,
  same: ServerUser,
  { pair, from, to }: { pair: UserPair; from: GrantPlace; to: GrantPlace },
): string[] {
  const found: string[] = [];
  const more = cutGrants(same.grants, to).flatMap((grant) => missingGrant(grant, user.grants, from) ?? []);
  for (const { privileges, scope, grantOption } of more)
    found.push(
      `has more: ${privilegesText(privileges)} ON ${scopeText(scope, { literally: true })}${grantOption ? ' WITH GRANT OPTION' : ''}`,
    );
  const [mine, theirs] = [user.create, same.create];
  if (mine === null || theirs === null) return found;
  if (!pair.isFenced && isLocked(mine) !== isLocked(theirs))
    found.push(isLocked(theirs) ? 'it is locked, and was not' : 'it is not locked, and was');
  if (tlsOf(mine) !== tlsOf(theirs)) found.push(`it has ${tlsOf(theirs)} instead of ${tlsOf(mine)}`);
  const [a, b] = [mine.factors[0], theirs.factors[0]];
  if (a !== undefined && b !== undefined && a.plugin === b.plugin && UNSALTED.has(a.plugin) && a.secret !== b.secret)
    found.push('it has another password');
  return found;
}
