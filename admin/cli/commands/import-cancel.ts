import type { Command } from 'commander';
import { apiCommand, withApi } from '../api-command.ts';

export function addImportCancel(parent: Command): void {
  apiCommand(parent, 'cancel <id>', 'give up an import before any switch; the source stays as it was').action(
    async (id: string, _options, command: Command) =>
      withApi(command, async ({ client, output }) => {
        const view = await client.cancelImport(id);
        output.result(view, () => `${view.id}: ${view.phase}`);
      }),
  );
}
