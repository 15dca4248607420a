import type { Command } from 'commander';
import { apiCommand, withApi } from '../api-command.ts';
import { assertNoError } from '../assert-no-error.ts';
import { followImport } from '../follow-import.ts';
import { addImportOptions, importRequestOf } from '../import-options.ts';
import { importText } from '../print-import.ts';
import { ProgressDisplay } from '../progress-display.ts';

export function addImportCreate(parent: Command): void {
  addImportOptions(apiCommand(parent, 'create [id]', 'create an import; the copy starts at once'))
    .option('--wait', 'stay until the copy has finished and replication runs')
    .action(async (id: string | undefined, { wait }: { wait?: true }, command: Command) => {
      const request = await importRequestOf(command, id);
      await withApi(command, async ({ client, output }) => {
        let view = await client.createImport(request);
        if (wait === true) {
          const display = new ProgressDisplay({ silent: output.json });
          view = await followImport(client, view.id, {
            onView: (now) => display.show(now),
            done: ({ phase }) => phase !== 'pending' && phase !== 'copying',
          });
        }
        output.result(view, () => importText(view));
        assertNoError(view);
      });
    });
}
