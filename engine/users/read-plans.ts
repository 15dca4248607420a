import { otherSide, type Side } from '../../core/phase.ts';
import type { ServerFacts, UsersView } from '../api.ts';
import type { ServerConnection } from '../server/connection.ts';
import type { AccountName } from '../switch/accounts.ts';
import { cutGrants, reachesByServer, type GrantPlace } from './cut-grants.ts';
import {
  accountKey,
  accountLabel,
  openUserServer,
  readDefiners,
  readUsers,
  rolesOf,
  type ServerUser,
  type UserServer,
} from './server-user.ts';
import { planUser, type UserPlan } from './user-plan.ts';
import { UsersUnreadable, type UnreadableSide } from './users-unreadable.ts';

export interface UserQuestion {
  database: string;
  /** The side that the accounts come from: the primary. */
  from: Side;
  connections: Record<Side, ServerConnection>;
  flavors: Record<Side, ServerFacts['flavor']>;
  /** Whether the accounts on the other side are locked by a fence. */
  isFenced: boolean;
  /** Those that Switchyard created on the other side. */
  ours: readonly AccountName[];
}

export interface UserPlans {
  plans: UserPlan[];
  view: UsersView;
}

/** Every account that has to do with the schema on the one side, and what the other side has of it. */
export async function readUserPlans({
  database,
  from,
  connections,
  flavors,
  isFenced,
  ours,
}: UserQuestion): Promise<UserPlans> {
  const to = otherSide(from);
  const own = new Set([connections[from].server.user, connections[to].server.user]);
  const here = await openUserServer({ side: from, connection: connections[from], flavor: flavors[from] });
  const there = await openUserServer({ side: to, connection: connections[to], flavor: flavors[to] });
  const [users, others] = await readBoth([here, there], own);
  const place: GrantPlace = { database, partialRevokes: here.partialRevokes };
  const definers = new Set((await readDefiners(here.connection, database)).map(accountKey));
  const concerned = concernedKeys(users, (user) => {
    return cutGrants(user.grants, place).length > 0 || definers.has(accountKey(user.name));
  });
  const pair = {
    database,
    flavors: { from: flavors[from], to: flavors[to] },
    partialRevokes: { from: here.partialRevokes, to: there.partialRevokes },
    plugins: await loginPlugins(there),
    isFenced,
    ours: new Set(ours.map(accountKey)),
  };
  const plans = users
    .filter(({ name }) => concerned.has(accountKey(name)))
    .map((user) => {
      const key = accountKey(user.name);
      const same = others.find(({ name }) => accountKey(name) === key);
      const otherHosts = others
        .map(({ name }) => name)
        .filter((name) => name.user === user.name.user && accountKey(name) !== key);
      return planUser(user, { same, otherHosts }, { pair, concerned });
    });
  const serverWide = users
    .filter(({ name, grants }) => !concerned.has(accountKey(name)) && reachesByServer(grants))
    .map(({ name }) => accountLabel(name));
  return { plans, view: { from, to, users: plans.map(({ view }) => view), serverWide } };
}

async function readBoth(
  servers: readonly [UserServer, UserServer],
  own: ReadonlySet<string>,
): Promise<[ServerUser[], ServerUser[]]> {
  const unreadable: UnreadableSide[] = [];
  const read = async (server: UserServer) =>
    await readUsers(server, own).catch((error: unknown) => {
      if (!(error instanceof UsersUnreadable)) throw error;
      unreadable.push(...error.sides);
      return [];
    });
  // Two statements an account, one after the other: with thousands of accounts that is what takes the time.
  const found = await Promise.all([read(servers[0]), read(servers[1])]);
  if (unreadable.length > 0) {
    throw new UsersUnreadable(servers.flatMap(({ side }) => unreadable.filter((one) => one.side === side)));
  }
  return found;
}

/** Those that are concerned by themselves, and whoever has one of them as a role. */
function concernedKeys(users: readonly ServerUser[], isConcerned: (user: ServerUser) => boolean): Set<string> {
  const keys = new Set(users.filter(isConcerned).map(({ name }) => accountKey(name)));
  for (let before = -1; before < keys.size;) {
    before = keys.size;
    for (const { name, grants } of users)
      if (rolesOf(grants).some((role) => keys.has(accountKey(role)))) keys.add(accountKey(name));
  }
  return keys;
}

async function loginPlugins({ connection }: UserServer): Promise<Set<string>> {
  const rows = await connection.select<{ name: string }>(
    "SELECT PLUGIN_NAME AS name FROM information_schema.PLUGINS WHERE PLUGIN_TYPE = 'AUTHENTICATION' AND PLUGIN_STATUS = 'ACTIVE'",
  );
  return new Set(rows.map(({ name }) => name));
}
