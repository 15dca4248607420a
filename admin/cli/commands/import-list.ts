import type { Command } from 'commander';
import { apiCommand, withApi } from '../api-command.ts';
import { importListText } from '../print-import.ts';

export function addImportList(parent: Command): void {
  apiCommand(parent, 'list', 'all imports').action(async (_options, command: Command) =>
    withApi(command, async ({ client, output }) => {
      const views = await client.listImports();
      output.result(views, () => importListText(views));
    }),
  );
}
