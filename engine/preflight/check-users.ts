import type { Finding, ImportOptions } from '../api.ts';
import { readUserPlans } from '../users/read-plans.ts';
import { unreadableFinding, userFindings } from '../users/user-findings.ts';
import { finding } from './finding.ts';
import { Grants } from './grants.ts';
import type { ServerView } from './server-view.ts';

/** The accounts with privileges on the schema, and whether they can be created where that is asked for. */
export async function checkUsers(
  source: ServerView,
  target: ServerView,
  { database, users }: { database: string; users: ImportOptions['users'] },
): Promise<Finding[]> {
  if (users === 'ignore') return [];
  try {
    const { view } = await readUserPlans({
      database,
      from: 'source',
      connections: { source: source.connection, target: target.connection },
      flavors: { source: source.facts.flavor, target: target.facts.flavor },
      isFenced: false,
      ours: [],
    });
    if (users === 'report') return userFindings(view);
    // The import creates the others.
    const left = view.users.filter(({ state, obstacle }) => state !== 'absent' || obstacle !== null);
    const isNeeded = left.length < view.users.length;
    return [...userFindings({ ...view, users: left }), ...(isNeeded ? await checkGrant(target) : [])];
  } catch (error) {
    return [unreadableFinding(error)];
  }
}

async function checkGrant({ connection, side }: ServerView): Promise<Finding[]> {
  const grants = await Grants.read(connection);
  if (grants.onServer('CREATE USER')) return [];
  const account = grants.account;
  return [
    finding(
      'GRANT_USERS_MISSING',
      side,
      'CREATE USER',
      `${account} lacks CREATE USER ON *.*: the import has users: create`,
      `GRANT CREATE USER ON *.* TO ${account};`,
    ),
  ];
}
