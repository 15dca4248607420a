import { InvalidArgumentError, type Command } from 'commander';
import type { StrayApplyReport, StrayImage, StrayWriteView } from '../../../engine/api.ts';
import { AppError } from '../../../core/errors.ts';
import { apiCommand, withApi } from '../api-command.ts';
import { ReportedFailure } from '../failure.ts';
import { formatTime } from '../format.ts';
import { integerOption } from '../integer-option.ts';
import { textTable } from '../text-table.ts';

const CELL_MAX = 60;

export function addStray(program: Command): void {
  const parent = program.command('stray').description('writes that reached the old primary after a switch');
  apiCommand(parent, 'list <id>', 'what they changed, row by row')
    .option('--unapplied', 'only those that were not applied to the new primary')
    .option('--after <id>', 'only those behind this one: the next page', integerOption, 0)
    .option('--limit <count>', 'how many', integerOption, 200)
    .action(
      async (
        id: string,
        { unapplied = false, after, limit }: { unapplied?: boolean; after: number; limit: number },
        command: Command,
      ) =>
        withApi(command, async ({ client, output }) => {
          const writes = await client.strayWrites(id, { after, limit, unapplied });
          output.result(writes, () => listText(writes));
        }),
    );
  apiCommand(parent, 'apply <id>', 'apply them to the primary, each where the row is still as it found it')
    .option('--id <ids>', 'which: N or N,N', idsOption)
    .option('--all', 'all that were not applied yet')
    .action(async (id: string, { id: ids, all }: { id?: number[]; all?: true }, command: Command) =>
      withApi(command, async ({ client, output }) => {
        if ((ids === undefined) === (all === undefined)) {
          throw new AppError('REQUEST_INVALID', 'say which stray writes: --id N[,N] or --all');
        }
        const report = await client.applyStrayWrites(id, ids ?? 'all');
        output.result(report, () => reportText(report));
        if (report.conflicts.length > 0) throw new ReportedFailure();
      }),
    );
}

function idsOption(text: string): number[] {
  if (!/^[1-9]\d{0,14}(,[1-9]\d{0,14})*$/.test(text)) {
    throw new InvalidArgumentError('It must be numbers with commas between them.');
  }
  return text.split(',').map(Number);
}

function listText(writes: readonly StrayWriteView[]): string {
  if (writes.length === 0) return 'no stray writes';
  const columns = ['id', 'committed', 'table', 'kind', 'key', 'before', 'after', 'applied'];
  return textTable(
    columns.map((title) => ({ title })),
    writes.map(({ id, committedAtMs, table, kind, key, before, after, statement, applied }) => [
      String(id),
      formatTime(committedAtMs),
      table,
      kind,
      key,
      cell(before, statement),
      cell(after, null),
      applied ? 'yes' : 'no',
    ]),
  );
}

function cell(image: StrayImage | null, otherwise: string | null): string {
  const text = image === null ? (otherwise ?? '-') : JSON.stringify(image);
  return text.length <= CELL_MAX ? text : `${text.slice(0, CELL_MAX - 1)}…`;
}

function reportText({ applied, already, conflicts }: StrayApplyReport): string {
  const before = already === 0 ? '' : `, ${already} applied before`;
  return [
    `${applied} applied${before}, ${conflicts.length} in conflict`,
    ...conflicts.map(({ id, reason }) => `  ${id}: ${reason}`),
  ].join('\n');
}
