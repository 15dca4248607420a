import { matchesSchema } from '../preflight/grants.ts';
import type { GrantedPrivilege, GrantScope, GrantStatement, PrivilegeGrant } from './grant-statement.ts';
import { nameText } from './server-user.ts';

export interface GrantPlace {
  database: string;
  /** `%` and `_` in grants on schemas stand for themselves. */
  partialRevokes: boolean;
}

/**
 * The grants that reach into the schema, as grants on it alone. Of several that match a schema by a pattern servers take the
 * most exact one, and that one only: the union of them would be more than the account has.
 */
export function cutGrants(grants: readonly GrantStatement[], place: GrantPlace): PrivilegeGrant[] {
  const given = grants.filter((grant) => grant.kind === 'privileges');
  const [onSchema] = given
    .flatMap((grant) =>
      grant.scope.kind === 'schema' && isMatch(grant.scope.schema, place)
        ? [{ grant, exactness: exactness(grant.scope.schema, place) }]
        : [],
    )
    .toSorted((a, b) => b.exactness - a.exactness)
    .map(({ grant }) => grant);
  const within = given.filter(
    ({ scope }) => scope.kind !== 'server' && scope.kind !== 'schema' && scope.schema === place.database,
  );
  const cut: PrivilegeGrant[] =
    onSchema === undefined ? within : [{ ...onSchema, scope: { kind: 'schema', schema: place.database } }, ...within];
  return cut.filter((grant) => grant.grantOption || !isNothing(grant));
}

/** Privileges on the whole server, or elsewhere; for people. */
export function grantsElsewhere(grants: readonly GrantStatement[], place: GrantPlace): string[] {
  return grants.flatMap((grant) => {
    switch (grant.kind) {
      case 'privileges': {
        const { scope } = grant;
        if (isNothing(grant)) return [];
        const isHere =
          scope.kind === 'schema'
            ? isMatch(scope.schema, place)
            : scope.kind !== 'server' && scope.schema === place.database;
        return isHere ? [] : [`${privilegesText(grant.privileges)} ON ${scopeText(scope, { literally: true })}`];
      }
      case 'proxy':
        return [`PROXY ON '${grant.of.user}'@'${grant.of.host}'`];
      case 'revoke':
        return ['partial revokes'];
      case 'other':
        return ['a grant of a kind that Switchyard does not know'];
      case 'roles':
      case 'defaultRoles':
        return [];
      default:
        throw new Error(`unknown grant ${String(grant satisfies never)}`);
    }
  });
}

/** Any privilege on the schema's rows that comes from one on the whole server. */
export function reachesByServer(grants: readonly GrantStatement[]): boolean {
  return grants.some(
    (grant) =>
      grant.kind === 'privileges' &&
      grant.scope.kind === 'server' &&
      grant.privileges.some(({ name }) => ON_ROWS.includes(name)),
  );
}

const ON_ROWS = ['ALL PRIVILEGES', 'SELECT', 'INSERT', 'UPDATE', 'DELETE', 'EXECUTE'];

function isNothing({ privileges }: PrivilegeGrant): boolean {
  return privileges.every(({ name }) => name === 'USAGE');
}

function isMatch(pattern: string, { database, partialRevokes }: GrantPlace): boolean {
  return partialRevokes ? pattern === database : matchesSchema(pattern, database);
}

/** As the servers sort them: by where the first wildcard is. */
function exactness(pattern: string, { partialRevokes }: GrantPlace): number {
  const first = partialRevokes ? -1 : pattern.replaceAll(/\\[^]/g, '..').search(/[%_]/);
  return first < 0 ? Infinity : first;
}

/** A part of `wanted` that nothing in `given` covers; null where all is covered. */
export function missingGrant(
  wanted: PrivilegeGrant,
  given: readonly GrantStatement[],
  place: GrantPlace,
): PrivilegeGrant | null {
  // A partial revoke may have taken any of it away.
  const isRevoked = given.some(({ kind }) => kind === 'revoke');
  const onServer = given.filter((grant) => grant.kind === 'privileges' && grant.scope.kind === 'server');
  const covering = [...(isRevoked ? [] : onServer), ...cutGrants(given, place)].filter(
    (grant): grant is PrivilegeGrant => grant.kind === 'privileges' && covers(grant.scope, wanted.scope),
  );
  const privileges = wanted.privileges.flatMap(({ name, columns }): GrantedPrivilege[] => {
    const having = covering.flatMap((grant) => grant.privileges.filter((has) => has.name === name || isAll(has.name)));
    if (name === 'USAGE' || having.some((has) => has.columns.length === 0)) return [];
    const known = new Set(having.flatMap((has) => has.columns));
    const left = columns.filter((column) => !known.has(column));
    return columns.length > 0 && left.length === 0 ? [] : [{ name, columns: left }];
  });
  const lacksOption = wanted.grantOption && !covering.some(({ grantOption }) => grantOption);
  if (privileges.length === 0 && !lacksOption) return null;
  return {
    ...wanted,
    privileges: privileges.length === 0 ? [{ name: 'USAGE', columns: [] }] : privileges,
    grantOption: lacksOption,
  };
}

function isAll(privilege: string): boolean {
  return privilege === 'ALL PRIVILEGES' || privilege === 'ALL';
}

function covers(scope: GrantScope, wanted: GrantScope): boolean {
  if (scope.kind === 'server') return true;
  if (scope.kind === 'schema') return wanted.kind !== 'server';
  return wanted.kind === scope.kind && wanted.schema === scope.schema && wanted.name === scope.name;
}

/**
 * The statement that adds `missing` to what an account has. Granted on the schema alone, it would take the place of a pattern that
 * the account has there, and be all that it has: so what it has by that goes with it.
 */
export function completedGrant(
  missing: PrivilegeGrant,
  given: readonly GrantStatement[],
  place: GrantPlace,
): PrivilegeGrant {
  const present = cutGrants(given, place).find(({ scope }) => scope.kind === 'schema');
  if (missing.scope.kind !== 'schema' || present === undefined) return missing;
  const all = [...present.privileges, ...missing.privileges];
  const some = all.filter(({ name }) => name !== 'USAGE');
  const whole = all.find(({ name }) => isAll(name));
  return {
    ...missing,
    privileges: whole === undefined ? (some.length === 0 ? all.slice(0, 1) : some) : [whole],
    grantOption: missing.grantOption || present.grantOption,
  };
}

export function privilegesText(privileges: readonly GrantedPrivilege[]): string {
  return privileges
    .map(({ name, columns }) => (columns.length === 0 ? name : `${name} (${columns.map(nameText).join(', ')})`))
    .join(', ');
}

/** `literally`: the schema of a grant on a schema stands for itself and needs no backslashes. */
export function scopeText(scope: GrantScope, { literally }: { literally: boolean }): string {
  switch (scope.kind) {
    case 'server':
      return '*.*';
    case 'schema':
      return `${nameText(literally ? scope.schema : scope.schema.replaceAll(/[%_]/g, String.raw`\$&`))}.*`;
    case 'table':
      return `${nameText(scope.schema)}.${nameText(scope.name)}`;
    case 'procedure':
    case 'function':
      return `${scope.kind.toUpperCase()} ${nameText(scope.schema)}.${nameText(scope.name)}`;
    default:
      throw new Error(`unknown scope ${String(scope satisfies never)}`);
  }
}
