import type { Command } from 'commander';
import { AppError } from '../../../core/errors.ts';
import { apiCommand, withApi } from '../api-command.ts';
import { assertNoError } from '../assert-no-error.ts';
import { followImport } from '../follow-import.ts';
import { formatCount } from '../format.ts';
import { verifyText } from '../print-import.ts';
import { ProgressDisplay } from '../progress-display.ts';

export function addVerify(program: Command): void {
  apiCommand(program, 'verify <id>', 'compare every row of source and target, while writes go on')
    .option('--no-wait', 'only start it')
    .action(async (id: string, { wait }: { wait: boolean }, command: Command) =>
      withApi(command, async ({ client, output }) => {
        const started = await client.verify(id);
        if (!wait) {
          output.result(started, () => `${id}: ${started.phase}`);
          return;
        }
        const display = new ProgressDisplay({ silent: output.json });
        const view = await followImport(client, id, {
          onView: (now) => display.show(now),
          done: ({ phase }) => phase !== 'verifying_data',
        });
        output.result(view.verify, () => verifyText(view));
        assertNoError(view);
        if (view.verify?.state === 'equal') return;
        const different = view.verify?.tables.filter(({ differencesTotal }) => differencesTotal > 0) ?? [];
        const rows = different.reduce((sum, { differencesTotal }) => sum + differencesTotal, 0);
        throw new AppError(
          'VERIFY_DIFFERENT',
          `${formatCount(rows)} rows differ in ${different.map(({ name }) => name).join(', ') || 'no table'}; the verification is ${view.verify?.state ?? 'missing'}`,
        );
      }),
    );
}
