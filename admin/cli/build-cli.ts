import { Command, CommanderError } from 'commander';
import { addComplete } from './commands/complete.ts';
import { addImportCancel } from './commands/import-cancel.ts';
import { addImportCreate } from './commands/import-create.ts';
import { addImportList } from './commands/import-list.ts';
import { addImportLogs } from './commands/import-logs.ts';
import { addImportShow } from './commands/import-show.ts';
import { addReplicaHost } from './commands/replica-host.ts';
import { addResume } from './commands/resume.ts';
import { addSessions } from './commands/sessions.ts';
import { addSwitch } from './commands/switch.ts';
import { addValidate } from './commands/validate.ts';
import { addVerify } from './commands/verify.ts';
import { EXIT_USAGE, reportFailure } from './failure.ts';

export interface CliOptions {
  /** Adds commands that do not talk to the admin API (serve, demo …); made with `program.command()`. */
  extend?: (program: Command) => void;
}

export function buildCli({ extend }: CliOptions = {}): Command {
  const program = new Command('switchyard')
    .description('Moves a live MySQL or MariaDB database to another server with no downtime and no lost write.')
    .showHelpAfterError('(--help shows the options)')
    // Inherited by every command that is made with `command()`, so it must come first.
    .exitOverride();
  extend?.(program);
  addValidate(program);
  const imports = program.command('import').description('create and watch imports');
  addImportCreate(imports);
  addImportList(imports);
  addImportShow(imports);
  addImportLogs(imports);
  addImportCancel(imports);
  addVerify(program);
  addSwitch(program);
  addReplicaHost(program);
  addResume(program);
  addComplete(program);
  addSessions(program);
  return program;
}

/** Runs a command line (`process.argv`); answers the exit code: 0 done, 1 refused or failed, 2 usage. */
export async function runCli(argv: readonly string[], options: CliOptions = {}): Promise<number> {
  // `switchyard import list | head` is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  try {
    await buildCli(options).parseAsync([...argv]);
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    return reportFailure(error, { json: argv.includes('--json') });
  }
}
