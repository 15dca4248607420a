import { AppError } from '../../core/errors.ts';
import type { RefusedUserStatement } from '../api.ts';
import { Grants } from '../preflight/grants.ts';
import { quoted } from '../schema/target-ddl.ts';
import { bytesOf, errnoOf, type ServerConnection } from '../server/connection.ts';
import type { AccountName } from '../switch/accounts.ts';
import { accountLabel } from './server-user.ts';
import type { UserPlan } from './user-plan.ts';

export interface AppliedPlans {
  created: string[];
  refused: RefusedUserStatement[];
}

/** Accounts that are absent and can come along, and what those still lack that an earlier attempt created. */
export function applicable(plans: readonly UserPlan[]): UserPlan[] {
  return plans.filter(({ create, isOurs }) => (create === null ? isOurs : create.secret !== null));
}

/**
 * Creates the accounts, then gives roles and privileges. What the server refuses is told, with the statement, and the others go
 * on. `onCreating` is told of each before it is made.
 */
export async function applyPlans(
  { connection, database }: { connection: ServerConnection; database: string },
  plans: readonly UserPlan[],
  onCreating: (names: AccountName[]) => Promise<void>,
): Promise<AppliedPlans> {
  const applied: AppliedPlans = { created: [], refused: [] };
  const chosen = applicable(plans);
  const absent = chosen.filter(({ create }) => create !== null);
  if (absent.length > 0) {
    await assertMayCreate(connection, database);
    await onCreating(absent.map(({ name }) => name));
  }
  const made = new Set(chosen.filter(({ create }) => create === null));
  for (const plan of absent) {
    const refusal = await run(connection, plan, { sql: plan.create?.secret ?? '', shown: plan.create?.blank ?? '' });
    if (refusal === null) {
      made.add(plan);
      applied.created.push(accountLabel(plan.name));
    } else applied.refused.push(refusal);
  }
  // Roles are accounts as well, and may be of each other.
  for (const plan of made) {
    for (const sql of plan.permissions) {
      const refusal = await run(connection, plan, { sql, shown: sql });
      if (refusal !== null) applied.refused.push(refusal);
    }
  }
  return applied;
}

/** What our user lacks to create accounts and to give them privileges on the schema, as GRANT statements. */
export async function lackingGrants(connection: ServerConnection, database: string): Promise<string[]> {
  const grants = await Grants.read(connection);
  return [
    ...(grants.onServer('CREATE USER') ? [] : [`GRANT CREATE USER ON *.* TO ${grants.account}`]),
    ...(grants.givesOnSchema(database)
      ? []
      : [`GRANT ALL ON ${quoted(database)}.* TO ${grants.account} WITH GRANT OPTION`]),
  ];
}

/** Ahead of the first account: one without its privileges would be of no use to anybody. */
async function assertMayCreate(connection: ServerConnection, database: string): Promise<void> {
  const lacking = await lackingGrants(connection, database);
  if (lacking.length === 0) return;
  throw new AppError(
    'USERS_GRANT_MISSING',
    `no account was created, for the Switchyard user needs: ${lacking.join('; ')}`,
    {
      details: { grants: lacking },
    },
  );
}

/** Servers quote a part of what they refuse: nothing of it is passed on where it holds a hash. */
async function run(
  connection: ServerConnection,
  { name }: UserPlan,
  { sql, shown }: { sql: string; shown: string },
): Promise<RefusedUserStatement | null> {
  try {
    await connection.write(bytesOf(sql));
    return null;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined || errno === 0) throw withoutStatement(error);
    const said = sql === shown && error instanceof AppError ? error.message : `the server answered error ${errno}`;
    return { account: accountLabel(name), statement: shown, reason: said + hint(errno) };
  }
}

/** The driver's error has the statement in it. */
function withoutStatement(error: unknown): unknown {
  return error instanceof AppError ? new AppError(error.code, error.message, { details: error.details }) : error;
}

const NO_GRANT_OPTION =
  'the Switchyard user can give what it has itself WITH GRANT OPTION: GRANT ALL ON the schema TO it WITH GRANT OPTION';

const HINTS: Record<number, string> = {
  1044: NO_GRANT_OPTION,
  1045: NO_GRANT_OPTION,
  1142: NO_GRANT_OPTION,
  1370: NO_GRANT_OPTION,
  1227: 'for roles the Switchyard user needs ROLE_ADMIN ON *.*',
  1146: 'the table is not imported',
  1305: 'the routine is not there',
  1396: 'it has come to be meanwhile',
  1819: 'the password policy of the server is against it',
};

function hint(errno: number): string {
  const text = HINTS[errno];
  return text === undefined ? '' : ` (${text})`;
}
