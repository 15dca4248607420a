import { Option, type Command } from 'commander';
import { apiCommand, withApi } from '../api-command.ts';

export function addResume(program: Command): void {
  apiCommand(program, 'resume <id>', 'go on from an error, after its remedy')
    .addOption(new Option('--skip-ddl', 'leave out the DDL statement that stopped replication').conflicts('applyDdl'))
    .addOption(new Option('--apply-ddl', 'run the DDL statement that stopped replication on the target'))
    .action(async (id: string, { skipDdl, applyDdl }: { skipDdl?: true; applyDdl?: true }, command: Command) =>
      withApi(command, async ({ client, output }) => {
        const view = await client.resume(id, skipDdl === true ? 'skip' : applyDdl === true ? 'apply' : undefined);
        output.result(view, () => `${view.id}: ${view.phase}`);
      }),
    );
}
