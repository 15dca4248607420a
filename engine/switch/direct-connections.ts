import { systemClock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { otherSide } from '../../core/phase.ts';
import type { SwitchRefusal } from '../api.ts';
import { Grants } from '../preflight/grants.ts';
import type { ServerConnection } from '../server/connection.ts';
import { readAccounts, SYSTEM_SCHEMAS, SYSTEM_USERS, type Account } from './accounts.ts';
import { readSessions, type ServerSession } from './process-list.ts';
import type { SwitchPlan, SwitchWorld } from './switch-world.ts';
import { refusal } from './refusal-table.ts';

/** A session that is just ending may be listed for a moment after its socket closed. */
const RECHECKS = 3;
const RECHECK_MS = 100;
const NAMED_MAX = 20;
/** Ids in the protocol's greeting have 32 bits. */
const GREETING_ID_MODULUS = 2 ** 32;

export type DirectSession = ServerSession;

/**
 * Sessions on the old primary that go past the proxy, and use or may write to the imported schema. Proxies are asked
 * after the server was, so a connection that one opens in between is in its list; one that closes in between is not,
 * and is gone when the server is asked again.
 */
export async function findDirectSessions(
  world: SwitchWorld,
  connection: ServerConnection,
  plan: SwitchPlan,
): Promise<DirectSession[]> {
  const { document } = world.record;
  const from = otherSide(plan.to);
  const { flavor } = from === 'source' ? document.sourceFacts : document.targetFacts;
  const accounts = await readAccounts(connection, flavor);
  let suspects = await readSessions(connection);
  const isOurs = ownership(connection, suspects);
  const proxied = await proxiedIds(world, plan);
  const isDirect = (session: ServerSession) =>
    !isOurs(session) &&
    !proxied.has(session.id % GREETING_ID_MODULUS) &&
    !SYSTEM_USERS.has(session.user) &&
    concerns(session, accounts, document.database);
  suspects = suspects.filter(isDirect);
  for (let check = 0; check < RECHECKS && suspects.length > 0; check += 1) {
    await systemClock.sleep(RECHECK_MS);
    const still = new Set((await readSessions(connection)).map(({ id }) => id));
    suspects = suspects.filter(({ id }) => still.has(id));
  }
  return suspects;
}

/** Step 0 of a switch of primaries: who would go on using the old primary, and who uses what does not come along. */
export async function checkDirectSessions(
  world: SwitchWorld,
  plan: SwitchPlan,
  { refusals, warnings }: { refusals: SwitchRefusal[]; warnings: string[] },
): Promise<DirectSession[]> {
  const { to } = plan;
  const from = otherSide(to);
  await using connection = await world.connect(from);
  const grants = await Grants.read(connection);
  if (!grants.onServer('PROCESS')) {
    warnings.push(`direct connections to the ${from} could not be looked for: the Switchyard user lacks PROCESS there`);
    return [];
  }
  try {
    const sessions = await findDirectSessions(world, connection, plan);
    refusals.push(
      ...describe(sessions).map((message) =>
        refusal('DIRECT_CONNECTIONS', `${message} to the ${from}, past the proxy`),
      ),
    );
    warnings.push(...(await foreignSchemas(world, plan)));
    return sessions;
  } catch (error) {
    const reason = error instanceof AppError ? `${error.code}: ${error.message}` : (error as Error).message;
    refusals.push(
      refusal('DIRECT_CONNECTIONS', `direct connections to the ${from} could not be looked for: ${reason}`),
    );
    return [];
  }
}

/** The ids, on the old primary, of everything that proxies have open there. */
export async function proxiedIds(
  { fleet, route, record }: Pick<SwitchWorld, 'fleet' | 'route' | 'record'>,
  { to }: Pick<SwitchPlan, 'to'>,
): Promise<Set<number>> {
  const from = otherSide(to);
  const { primary } = (await route.of(record.document.id)).endpoints[from];
  const { backends } = await fleet.backends();
  // Ids of a replica are another server's: they would hide whoever has the same number here.
  return new Set(
    backends
      .filter(({ side, host, port }) => side === from && host === primary.host && port === primary.port)
      .map(({ connectionId }) => connectionId),
  );
}

/** Our own user is no proof: a console may use it. Where the server tells programs, ours calls itself `switchyard`. */
function ownership(connection: ServerConnection, sessions: ServerSession[]): (session: ServerSession) => boolean {
  const ours = sessions.find(({ id }) => id === connection.threadId);
  const tellsPrograms = ours !== undefined && ours.program !== null;
  return ({ user, program }) => user === connection.server.user && (!tellsPrograms || program === 'switchyard');
}

function accountsOf({ user }: ServerSession, accounts: Account[] | null): Account[] {
  return accounts?.filter(({ name }) => name.user === user) ?? [];
}

function concerns(session: ServerSession, accounts: Account[] | null, database: string): boolean {
  if (session.schema === database) return true;
  const candidates = accountsOf(session, accounts);
  // Who it is cannot be told (no right to read accounts, anonymous ones): only the schema in use speaks for it.
  if (candidates.length === 0) return session.schema === null;
  return candidates.some((account) => account.mayWrite(database));
}

/** One line for all sessions of the same kind. */
function describe(sessions: DirectSession[]): string[] {
  const groups = Map.groupBy(sessions, ({ user, host, program, schema }) => {
    const details = [
      program === null ? 'program unknown' : `program ${program}`,
      schema === null ? 'no default schema' : `schema ${schema}`,
    ];
    return `${user} from ${host} (${details.join(', ')})`;
  });
  const lines = [...groups].map(
    ([who, members]) => `${who} has ${members.length === 1 ? 'a connection' : `${members.length} connections`}`,
  );
  const more = lines.length - NAMED_MAX;
  return more > 0
    ? [...lines.slice(0, NAMED_MAX), `${more} more users, addresses or programs have connections`]
    : lines;
}

/** Sessions through the proxy that would not find their schema on the other side. */
async function foreignSchemas({ fleet, record }: SwitchWorld, { to }: SwitchPlan): Promise<string[]> {
  const { database } = record.document;
  const { sessions } = await fleet.backends();
  const foreign = sessions.filter(
    (session) =>
      session.side !== to &&
      session.database !== null &&
      session.database !== database &&
      !SYSTEM_SCHEMAS.includes(session.database.toLowerCase()),
  );
  const lines = new Set(
    foreign.map(
      ({ user, address, database: schema }) =>
        `${user} from ${address.replace(/:\d+$/, '')} uses the schema ${schema} through the proxy, which does not move: it would not find it on the ${to}`,
    ),
  );
  return [...lines];
}
