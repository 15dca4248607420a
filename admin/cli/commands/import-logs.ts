import type { Command } from 'commander';
import type { LogEntry } from '../../backend.ts';
import { apiCommand, withApi } from '../api-command.ts';
import { integerOption } from '../integer-option.ts';
import { formatTime } from '../format.ts';
import { printable } from '../text-table.ts';

export function addImportLogs(parent: Command): void {
  apiCommand(parent, 'logs <id>', 'the newest log lines of an import')
    .option('--limit <count>', 'how many', integerOption, 200)
    .option('--follow', 'stay and print new ones')
    .action(async (id: string, { limit, follow }: { limit: number; follow?: true }, command: Command) =>
      withApi(command, async ({ client, output }) => {
        if (follow !== true) {
          const entries = await client.logs(id, limit);
          if (output.json) output.result(entries, () => '');
          else for (const entry of entries) output.line(entry, () => logText(entry));
          return;
        }
        for await (const event of client.watch(id, { logs: limit })) {
          if (event.kind === 'log') output.line(event.entry, () => logText(event.entry));
        }
      }),
    );
}

function logText({ atMs, level, message, details }: LogEntry): string {
  const more = details === undefined || Object.keys(details).length === 0 ? '' : ` ${JSON.stringify(details)}`;
  return printable(`${formatTime(atMs)}  ${level.padEnd(5)}  ${message}${more}`);
}
