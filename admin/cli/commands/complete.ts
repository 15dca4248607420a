import type { Command } from 'commander';
import { AppError } from '../../../core/errors.ts';
import { apiCommand, withApi } from '../api-command.ts';

export function addComplete(program: Command): void {
  apiCommand(program, 'complete <id>', 'end an import for good: replication stops, stored credentials are erased')
    .option('--confirm <id>', 'the name of the import once more; this cannot be undone')
    .action(async (id: string, { confirm }: { confirm?: string }, command: Command) => {
      if (confirm !== id) {
        throw new AppError('CONFIRMATION_REQUIRED', `completing cannot be undone: repeat it with --confirm ${id}`);
      }
      await withApi(command, async ({ client, output }) => {
        const view = await client.complete(id, confirm);
        output.result(view, () => `${view.id}: ${view.phase}`);
      });
    });
}
