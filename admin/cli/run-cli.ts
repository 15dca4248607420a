import { CommanderError } from 'commander';
import { buildCli, type CliOptions } from './build-cli.ts';
import { EXIT_USAGE, reportFailure } from './failure.ts';

/** Runs a command line, without the program's own name; answers the exit code: 0 done, 1 refused or failed, 2 usage. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<number> {
  // `switchyard import list | head` is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  try {
    await buildCli(options).parseAsync([...args], { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    return reportFailure(error, { json: args.includes('--json') });
  }
}
