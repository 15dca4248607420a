import type { Command } from 'commander';
import type { ImportView } from '../../../engine/api.ts';
import { apiCommand, withApi } from '../api-command.ts';
import { parseReplicaHost } from '../replica-host-argument.ts';

export function addReplicaHost(program: Command): void {
  const parent = program.command('replica-host').description('where replica traffic of the source goes');
  apiCommand(parent, 'set <id> <host>', 'set it, HOST or HOST:PORT').action(
    async (id: string, host: string, _options, command: Command) => {
      const replicaHost = parseReplicaHost(host);
      await withApi(command, async ({ client, output }) => {
        const view = await client.setReplicaHost(id, replicaHost);
        output.result(view, () => hostText(view));
      });
    },
  );
  apiCommand(parent, 'unset <id>', 'serve replica traffic from the primary again').action(
    async (id: string, _options, command: Command) =>
      withApi(command, async ({ client, output }) => {
        const view = await client.setReplicaHost(id, null);
        output.result(view, () => hostText(view));
      }),
  );
}

function hostText({ id, replicaHost }: ImportView): string {
  return replicaHost === null
    ? `${id}: no replica host`
    : `${id}: replica host ${replicaHost.host}:${replicaHost.port}`;
}
