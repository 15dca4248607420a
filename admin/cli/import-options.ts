import { Option, type Command } from 'commander';
import { AppError } from '../../core/errors.ts';
import { DDL_POLICIES, FENCES, REVERSE_MODES, USER_MODES } from '../../engine/api.ts';
import type { ImportRequestInput } from '../client.ts';
import { integerOption } from './integer-option.ts';
import { readTextFile } from './password.ts';
import { parseReplicaHost } from './replica-host-argument.ts';
import { addServerOptions, objectOf, serverOf } from './server-options.ts';

interface ImportFlags {
  file?: string;
  database?: string;
  tables?: string[];
  replicaHost?: string;
  ddl?: string;
  connections?: number;
  throttleSourceLatencyMs?: number;
  throttleHistoryLengthMax?: number;
  throttleReplicaLagMs?: number;
  fence?: string;
  reverse?: string;
  users?: string;
  deferIndexes?: false;
  skipValidationErrors?: true;
  drainBudgetMs?: number;
  prepareBudgetMs?: number;
  pauseDeadlineMs?: number;
  maxLagMs?: number;
}

/** What describes an import, for `import create` and `validate`. */
export function addImportOptions(command: Command): Command {
  addServerOptions(command, 'source');
  addServerOptions(command, 'target');
  return command
    .option('--file <file>', 'the request as JSON; options are laid over it')
    .option('--database <name>', 'the schema to import')
    .option('--tables <names>', 'tables, separated by commas (all)', (text) =>
      text.split(',').map((name) => name.trim()),
    )
    .option('--replica-host <host[:port]>', 'where replica traffic of the source goes')
    .addOption(new Option('--ddl <policy>', 'what to do with DDL on imported tables (STOP)').choices(DDL_POLICIES))
    .option('--connections <count>', 'connections of the copy on each side (4)', integerOption)
    .option(
      '--throttle-source-latency-ms <ms>',
      'no chunk while SELECT 1 on the source takes longer (off)',
      integerOption,
    )
    .option('--throttle-history-length-max <count>', 'no chunk while the source has more to purge (off)', integerOption)
    .option(
      '--throttle-replica-lag-ms <ms>',
      'no chunk while the replica that is read from is further behind (off)',
      integerOption,
    )
    .addOption(new Option('--fence <fence>', 'how writes on the old primary are refused (auto)').choices(FENCES))
    .addOption(
      new Option('--reverse <when>', 'when writes on the target go to the source (from_switch)').choices(REVERSE_MODES),
    )
    .addOption(
      new Option('--users <what>', 'accounts that the target lacks: name them, or create them (report)').choices(
        USER_MODES,
      ),
    )
    .addOption(new Option('--no-defer-indexes', 'build secondary indexes before the rows').default(undefined))
    .option('--skip-validation-errors', 'import although validation found errors that can be skipped')
    .option('--prepare-budget-ms <ms>', 'longest time for opening connections ahead of a switch (30000)', integerOption)
    .option('--drain-budget-ms <ms>', 'longest wait for open transactions at a switch (2000)', integerOption)
    .option('--pause-deadline-ms <ms>', 'longest pause at a switch (5000)', integerOption)
    .option('--max-lag-ms <ms>', 'no switch while replication is further behind (10000)', integerOption);
}

/** The request from `--file` and options; whether it is a good one is for the server to say. */
export async function importRequestOf(command: Command, id: string | undefined): Promise<ImportRequestInput> {
  const flags = command.opts<ImportFlags>();
  const base = flags.file === undefined ? {} : requestFile(flags.file);
  const source = await serverOf(command, 'source', base['source']);
  if (source === undefined) throw new AppError('REQUEST_INVALID', 'no source: give --source-host, or --file');
  const target = await serverOf(command, 'target', base['target']);
  const baseOptions = objectOf(base['options']);
  const throttle = { ...objectOf(baseOptions['throttle']), ...throttleOf(flags) };
  const options = {
    ...baseOptions,
    ...optionsOf(flags),
    ...(Object.keys(throttle).length === 0 ? {} : { throttle }),
  };
  const request = {
    ...base,
    ...(id === undefined ? {} : { id }),
    source,
    ...(target === undefined ? {} : { target }),
    ...(flags.database === undefined ? {} : { database: flags.database }),
    ...(flags.tables === undefined ? {} : { tables: flags.tables }),
    ...(flags.replicaHost === undefined ? {} : { replicaHost: parseReplicaHost(flags.replicaHost) }),
    options,
  };
  // Only the form of the server's schema is promised here; the server parses it and names what is wrong.
  return request as unknown as ImportRequestInput;
}

function optionsOf(flags: ImportFlags): Record<string, unknown> {
  const { ddl, connections, fence, reverse, users, deferIndexes, skipValidationErrors } = flags;
  const { prepareBudgetMs, drainBudgetMs, pauseDeadlineMs, maxLagMs } = flags;
  const options = {
    ddl,
    connections,
    fence,
    reverse,
    users,
    deferIndexes,
    skipValidationErrors,
    prepareBudgetMs,
    drainBudgetMs,
    pauseDeadlineMs,
    maxLagMs,
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function throttleOf({ throttleSourceLatencyMs, throttleHistoryLengthMax, throttleReplicaLagMs }: ImportFlags) {
  return {
    ...(throttleSourceLatencyMs === undefined ? {} : { sourceLatencyMs: throttleSourceLatencyMs }),
    ...(throttleHistoryLengthMax === undefined ? {} : { historyLengthMax: throttleHistoryLengthMax }),
    ...(throttleReplicaLagMs === undefined ? {} : { replicaLagMs: throttleReplicaLagMs }),
  };
}

function requestFile(file: string): Record<string, unknown> {
  const text = readTextFile(file, 'request file');
  try {
    return objectOf(JSON.parse(text));
  } catch {
    // The parser's message quotes the text, which may hold a password.
    throw new AppError('REQUEST_INVALID', `${file} is not valid JSON`);
  }
}
