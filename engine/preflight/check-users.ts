import type { Finding, ImportOptions } from '../api.ts';
import { lackingGrants } from '../users/apply-plans.ts';
import { readUserPlans } from '../users/read-plans.ts';
import { unreadableFindings, userFindings } from '../users/user-findings.ts';
import { finding } from './finding.ts';
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
    return [...userFindings({ ...view, users: left }), ...(isNeeded ? await checkGrant(target, database) : [])];
  } catch (error) {
    return unreadableFindings(error);
  }
}

async function checkGrant({ connection, side }: ServerView, database: string): Promise<Finding[]> {
  const lacking = await lackingGrants(connection, database);
  return lacking.map((grant) =>
    finding('GRANT_USERS_MISSING', side, null, `the import has users: create, which needs: ${grant}`, `${grant};`),
  );
}
