import type { Command } from 'commander';
import type { UsersApplyReport, UsersScript, UsersView } from '../../../engine/api.ts';
import { AppError } from '../../../core/errors.ts';
import { apiCommand, withApi } from '../api-command.ts';
import { ReportedFailure } from '../failure.ts';
import { printable, textTable } from '../text-table.ts';

interface UsersFlags {
  script?: true;
  hashes?: true;
  apply?: true;
}

export function addUsers(program: Command): void {
  apiCommand(program, 'users <id>', 'accounts with privileges on the schema, and what the other side has of them')
    .option('--apply', 'create the absent ones there, with their password hashes')
    .option('--script', 'print statements for what is absent or lacking, with blanks instead of passwords')
    .option('--hashes', 'with --script: print the password hashes, which are secrets')
    .action(async (id: string, { script, hashes, apply }: UsersFlags, command: Command) =>
      withApi(command, async ({ client, output }) => {
        if (hashes === true && script === undefined)
          throw new AppError('REQUEST_INVALID', '--hashes belongs to --script');
        if (apply === true && script === true) throw new AppError('REQUEST_INVALID', 'either --apply or --script');
        if (script === true) {
          const answer = await client.usersScript(id, { hashes: hashes ?? false });
          output.result(answer, () => scriptText(answer));
          return;
        }
        if (apply === undefined) {
          const view = await client.users(id);
          output.result(view, () => viewText(view));
          return;
        }
        const report = await client.createUsers(id);
        output.result(report, () => reportText(report));
        if (report.refused.length > 0) throw new ReportedFailure();
      }),
    );
}

function viewText({ from, to, users, serverWide }: UsersView): string {
  const table =
    users.length === 0
      ? `no account of the ${from} has privileges on the schema`
      : textTable(
          [{ title: 'account' }, { title: 'kind' }, { title: `on the ${to}` }, { title: 'what is to know' }],
          users.map(({ account, isRole, state, obstacle, differences, left, otherHosts }) => [
            account,
            isRole ? 'role' : 'account',
            state,
            [
              ...(obstacle === null ? [] : [obstacle]),
              ...differences,
              ...otherHosts.map((other) => `there is ${other}`),
              ...left.map((what) => `not brought: ${what}`),
            ].join('; ') || '-',
          ]),
        );
  const wide =
    serverWide.length === 0
      ? []
      : ['', `by privileges on the whole server only, not brought: ${serverWide.join(', ')}`];
  return [table, ...wide.map(printable)].join('\n');
}

function reportText({ created, refused, view }: UsersApplyReport): string {
  return [
    created.length === 0 ? 'no account was created' : `created: ${created.join(', ')}`,
    ...refused.flatMap(({ account, reason, statement }) => [`refused: ${account}: ${reason}`, `  ${statement}`]),
    '',
  ]
    .map(printable)
    .concat(viewText(view))
    .join('\n');
}

/** Nothing but lines of the mysql client. */
function scriptText({ script }: UsersScript): string {
  return script === '' ? '-- nothing is absent or lacking' : script.split('\n').map(printable).join('\n');
}
