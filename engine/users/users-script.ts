import type { UsersScript } from '../api.ts';
import type { UserPlan } from './user-plan.ts';

/**
 * For the mysql client. Without `hashes`, and where a hash cannot come along, what is to be filled in is written so that no
 * server takes it: an account with a password that everybody can read here would be worse than none.
 */
export function usersScript(plans: readonly UserPlan[], { hashes }: { hashes: boolean }): UsersScript {
  const lines: string[] = [];
  let hasSecrets = false;
  // Roles first: others are given them.
  const ordered = plans.toSorted((a, b) => Number(b.view.isRole) - Number(a.view.isRole));
  for (const { create, view, permissions } of ordered) {
    const { account, state, obstacle, differences, left } = view;
    if (state === 'same' && left.length === 0) continue;
    lines.push(
      '',
      comment(`${account}: ${state === 'absent' ? 'is absent' : differences.join('; ') || 'is the same'}`),
    );
    if (obstacle !== null) lines.push(comment(obstacle));
    for (const what of left) lines.push(comment(`not brought: ${what}`));
    if (create !== null) {
      const statement = hashes ? (create.secret ?? create.blank) : create.blank;
      hasSecrets ||= statement !== create.blank;
      lines.push(`${statement};`);
    }
    lines.push(...permissions.map((statement) => `${statement};`));
  }
  const head = hasSecrets
    ? [comment('This holds password hashes: keep it from others, and delete it when it was run.')]
    : [];
  return { script: [...head, ...lines].join('\n').trim(), hasSecrets };
}

/** Whatever an account is called, it stays within its line. */
function comment(text: string): string {
  return `-- ${text.replaceAll(/\s+/g, ' ')}`;
}
