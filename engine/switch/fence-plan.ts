import type { ImportOptions } from '../api.ts';
import { Grants } from '../preflight/grants.ts';
import { otherSchemas, readAccounts, type Account, type AccountName } from './accounts.ts';
import type { FenceContext, FenceKind } from './fence.ts';

export interface FencePlan {
  kind: FenceKind;
  /** Accounts that the fence locks; stored before it goes up, since only that list undoes it. */
  accounts: AccountName[];
  /** Why nothing stronger was taken, or why nothing at all can be. */
  notes: string[];
  /** Accounts known to the server; null where they cannot be read. */
  known: Account[] | null;
  possible: boolean;
}

interface Survey {
  context: FenceContext;
  grants: Grants;
  others: string[];
  accounts: Account[] | null;
  /** Asked for by name: then it may hit other schemas. */
  isAuto: boolean;
  /** Replica traffic goes on there behind the switch. */
  servesReplicas: boolean;
}

/** From strongest to weakest; `none` is never chosen, only asked for. */
const FORMS = ['read_only', 'triggers', 'accounts', 'lock_tables'] as const;

/** What a form does not do, said before it is taken. */
const LIMITS: Partial<Record<FenceKind, string>> = {
  triggers: 'triggers refuse changed rows; TRUNCATE and DDL of a writer that bypasses the proxy pass them',
  lock_tables: 'the lock ends with the switch: afterwards writes that bypass the proxy are found, not refused',
};

const REPLICAS_LOCKED_OUT =
  'replica traffic stays on this server, and with its accounts locked it can open no new sessions there';

/** The strongest fence that the grants allow and that hits nobody else, or the one asked for. Every obstacle is named. */
export async function planFence(
  context: FenceContext,
  requested: ImportOptions['fence'],
  { servesReplicas }: Pick<Survey, 'servesReplicas'>,
): Promise<FencePlan> {
  const { connection, flavor, database } = context;
  const accounts = await readAccounts(connection, flavor);
  if (requested === 'none') {
    const notes = ['no fence was asked for: writes that bypass the proxy are not refused'];
    return { kind: 'none', accounts: [], notes, known: accounts, possible: true };
  }
  const survey: Survey = {
    context,
    accounts,
    grants: await Grants.read(connection),
    others: await otherSchemas(connection, database),
    isAuto: requested === 'auto',
    servesReplicas,
  };
  const notes: string[] = [];
  for (const kind of requested === 'auto' ? FORMS : [requested]) {
    const obstacles = await obstaclesTo(kind, survey);
    notes.push(...obstacles.map((obstacle) => `${kind}: ${obstacle}`));
    if (obstacles.length > 0) continue;
    const limit = LIMITS[kind];
    if (limit !== undefined) notes.push(limit);
    if (kind === 'accounts' && servesReplicas) notes.push(REPLICAS_LOCKED_OUT);
    return {
      kind,
      accounts: kind === 'accounts' ? writers(survey).map(({ name }) => name) : [],
      notes,
      known: accounts,
      possible: true,
    };
  }
  return { kind: requested === 'auto' ? 'triggers' : requested, accounts: [], notes, known: accounts, possible: false };
}

async function obstaclesTo(kind: (typeof FORMS)[number], survey: Survey): Promise<string[]> {
  switch (kind) {
    case 'read_only':
      return readOnlyObstacles(survey);
    case 'triggers':
      return await triggerObstacles(survey);
    case 'accounts':
      return accountObstacles(survey);
    case 'lock_tables':
      return lockObstacles(survey);
    default:
      throw new Error(`unknown fence ${String(kind satisfies never)}`);
  }
}

function readOnlyObstacles({ context, grants, others, isAuto }: Survey): string[] {
  const needed = context.flavor === 'mysql' ? ['SYSTEM_VARIABLES_ADMIN', 'CONNECTION_ADMIN'] : ['READ ONLY ADMIN'];
  return [
    ...lacking(grants, needed, 'SUPER'),
    ...(isAuto && others.length > 0 ? [`it would also stop writes to ${others.slice(0, 5).join(', ')}`] : []),
  ];
}

async function triggerObstacles({ context, grants }: Survey): Promise<string[]> {
  const { connection, database, tables } = context;
  const row = await connection.selectOne<{ trusted: string }>(
    'SELECT @@global.log_bin_trust_function_creators AS trusted',
  );
  return [
    ...(grants.onTables('TRIGGER', database, tables)
      ? []
      : ['the Switchyard user lacks TRIGGER on the imported schema']),
    ...(row?.trusted === '1' || grants.onServer('SUPER')
      ? []
      : ['log_bin_trust_function_creators is OFF and the Switchyard user lacks SUPER']),
  ];
}

function accountObstacles(survey: Survey): string[] {
  const { context, grants, others, accounts, isAuto, servesReplicas } = survey;
  if (accounts === null) return ['the Switchyard user may not read the accounts (SELECT on mysql.*)'];
  const needed = ['CREATE USER', 'PROCESS'];
  const ending = context.flavor === 'mysql' ? ['CONNECTION_ADMIN'] : ['CONNECTION ADMIN'];
  const locked = writers(survey);
  const shared = locked.flatMap((account) => {
    const served = others.filter((schema) => account.mayWrite(schema) || account.isNamedIn(schema));
    return served.length === 0 ? [] : [`${account.label} also serves ${served.slice(0, 5).join(', ')}`];
  });
  // Sessions are told apart by user name: a namesake's would end as well.
  const namesakes = accounts.filter(
    (account) =>
      !account.locked && !locked.includes(account) && locked.some(({ name }) => name.user === account.name.user),
  );
  return [
    ...lacking(grants, needed, 'ALL'),
    ...lacking(grants, ending, 'SUPER'),
    ...shared,
    ...(isAuto && servesReplicas ? [REPLICAS_LOCKED_OUT] : []),
    ...namesakes.map(
      ({ label }) => `${label} has the user name of an account that would be locked, and does something else`,
    ),
  ];
}

/** Accounts that the form `accounts` locks: all that may write, but ours and those that run the server. */
function writers({ accounts, context }: Survey): Account[] {
  const { connection, database } = context;
  return (accounts ?? []).filter(
    (account) =>
      !account.locked &&
      account.name.user !== connection.server.user &&
      !account.isAdministrator &&
      account.mayWrite(database),
  );
}

function lockObstacles({ context, grants }: Survey): string[] {
  const { database, tables } = context;
  return [
    ...(grants.onSchema('LOCK TABLES', database)
      ? []
      : ['the Switchyard user lacks LOCK TABLES on the imported schema']),
    ...(grants.onTables('SELECT', database, tables) ? [] : ['the Switchyard user lacks SELECT on the imported schema']),
  ];
}

/** Those of `needed` that our own user does not have; `instead` stands for them all. */
function lacking(grants: Grants, needed: string[], instead: string): string[] {
  if (grants.onServer(instead)) return [];
  return needed
    .filter((privilege) => !grants.onServer(privilege))
    .map((privilege) => `the Switchyard user lacks ${privilege} on *.*`);
}
