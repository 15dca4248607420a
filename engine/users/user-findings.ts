import type { Finding, UsersView } from '../api.ts';
import { finding, listed } from '../preflight/finding.ts';
import { UsersUnreadable } from './users-unreadable.ts';

export const USER_FINDINGS: readonly string[] = [
  'USER_ABSENT',
  'USER_DIFFERENT',
  'USER_NOT_CREATED',
  'USERS_SERVER_WIDE',
  'USERS_UNREADABLE',
];

/** What is to be known of the accounts before a switch. */
export function userFindings({ users, serverWide, from, to }: UsersView): Finding[] {
  const absent = users.filter(({ state }) => state === 'absent');
  return [
    ...absent.map(({ account, isRole, obstacle, left, otherHosts }) =>
      finding(
        'USER_ABSENT',
        to,
        account,
        [
          `the ${isRole ? 'role' : 'account'} ${account} of the ${from} is not on the ${to}`,
          ...(obstacle === null ? [] : [obstacle]),
          ...(otherHosts.length === 0 ? [] : [`there is ${otherHosts.join(', ')}`]),
          ...(left.length === 0 ? [] : [`not brought: ${listed(left)}`]),
        ].join('; '),
      ),
    ),
    ...users
      .filter(({ state }) => state === 'different')
      .map(({ account, differences }) =>
        finding('USER_DIFFERENT', to, account, `${account} is on the ${to}: ${listed(differences)}`),
      ),
    ...(serverWide.length === 0
      ? []
      : [finding('USERS_SERVER_WIDE', from, null, `by privileges on the whole server only: ${listed(serverWide)}`)]),
  ];
}

/** Instead of them where the accounts may not be read; anything else is thrown on. */
export function unreadableFindings(error: unknown): Finding[] {
  if (!(error instanceof UsersUnreadable)) throw error;
  return error.sides.map(({ side, reason, grant }) =>
    finding('USERS_UNREADABLE', side, null, `the accounts cannot be read: ${reason}`, `${grant};`),
  );
}
