import { hostname, userInfo } from 'node:os';
import { Option, type Command } from 'commander';
import { AdminClient } from '../client.ts';
import { ConsoleOutput } from './console-output.ts';

export const DEFAULT_URL = 'http://127.0.0.1:6080';

interface ApiOptions {
  url: string;
  token?: string;
  json?: boolean;
}

export interface ApiSession {
  client: AdminClient;
  output: ConsoleOutput;
}

/** A command that talks to the admin API, with the options that all of these have. */
export function apiCommand(parent: Command, nameAndArguments: string, description: string): Command {
  return parent
    .command(nameAndArguments)
    .description(description)
    .addOption(new Option('--url <url>', 'address of the admin API').env('SWITCHYARD_URL').default(DEFAULT_URL))
    .addOption(
      new Option('--token <token>', 'its token; better in the environment, where `ps` does not show it').env(
        'SWITCHYARD_TOKEN',
      ),
    )
    .option('--json', 'print JSON');
}

/** Runs `work` with a client for the options of `command`. */
export async function withApi<T>(command: Command, work: (session: ApiSession) => Promise<T>): Promise<T> {
  const { url, token, json = false } = command.opts<ApiOptions>();
  await using client = new AdminClient({ url, token, actor: actorName() });
  return await work({ client, output: new ConsoleOutput({ json }) });
}

function actorName(): string {
  try {
    return `cli:${userInfo().username}@${hostname()}`;
  } catch {
    // A container may run under a uid without a name.
    return `cli:${process.getuid?.() ?? 'unknown'}@${hostname()}`;
  }
}
