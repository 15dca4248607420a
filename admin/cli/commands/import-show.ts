import type { Command } from 'commander';
import { apiCommand, withApi } from '../api-command.ts';
import { followImport } from '../follow-import.ts';
import { importText } from '../print-import.ts';
import { ProgressDisplay } from '../progress-display.ts';

export function addImportShow(parent: Command): void {
  apiCommand(parent, 'show <id>', 'phase, progress, streams, verification and traffic of an import')
    .option('--watch', 'stay and show changes, until the import is completed or cancelled')
    .action(async (id: string, { watch }: { watch?: true }, command: Command) =>
      withApi(command, async ({ client, output }) => {
        if (watch !== true) {
          const view = await client.getImport(id);
          output.result(view, () => importText(view));
          return;
        }
        const display = new ProgressDisplay({ silent: output.json });
        const view = await followImport(client, id, {
          onView: (now) => (output.json ? output.line(now, () => '') : display.show(now)),
          done: ({ phase }) => phase === 'completed' || phase === 'cancelled',
        });
        if (!output.json) output.result(view, () => importText(view));
      }),
    );
}
