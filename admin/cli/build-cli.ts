import { Command } from 'commander';
import { addComplete } from './commands/complete.ts';
import { addImportCancel } from './commands/import-cancel.ts';
import { addImportCreate } from './commands/import-create.ts';
import { addImportList } from './commands/import-list.ts';
import { addImportLogs } from './commands/import-logs.ts';
import { addImportShow } from './commands/import-show.ts';
import { addReplicaHost } from './commands/replica-host.ts';
import { addResume } from './commands/resume.ts';
import { addSessions } from './commands/sessions.ts';
import { addDoctor } from './commands/doctor.ts';
import { addConflicts } from './commands/conflicts.ts';
import { addStray } from './commands/stray.ts';
import { addSwitch } from './commands/switch.ts';
import { addUsers } from './commands/users.ts';
import { addValidate } from './commands/validate.ts';
import { addVerify } from './commands/verify.ts';

export interface CliOptions {
  /** Adds commands that do not talk to the admin API (serve, demo …); made with `program.command()`. */
  extend?: (program: Command) => void;
}

export function buildCli({ extend }: CliOptions = {}): Command {
  const program = new Command('switchyard')
    .description('Moves a live MySQL or MariaDB database to another server with no downtime and no lost write.')
    .addHelpText(
      'after',
      '\n`switchyard serve --help`: start the proxy, the engine and the admin API that these commands talk to.',
    )
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
  addStray(program);
  addConflicts(program);
  addUsers(program);
  addDoctor(program);
  addReplicaHost(program);
  addResume(program);
  addComplete(program);
  addSessions(program);
  return program;
}
