import type { Command } from 'commander';
import type { ConflictView, StrayImage } from '../../../engine/api.ts';
import { apiCommand, withApi } from '../api-command.ts';
import { formatTime } from '../format.ts';
import { integerOption } from '../integer-option.ts';
import { textTable } from '../text-table.ts';

const CELL_MAX = 60;

export function addConflicts(program: Command): void {
  const parent = program.command('conflicts').description('writes on the target that lost against the source');
  apiCommand(parent, 'list <id>', 'what was lost, row by row, and why')
    .option('--after <id>', 'only those behind this one: the next page', integerOption, 0)
    .option('--limit <count>', 'how many', integerOption, 200)
    .action(async (id: string, { after, limit }: { after: number; limit: number }, command: Command) =>
      withApi(command, async ({ client, output }) => {
        const conflicts = await client.conflicts(id, { after, limit });
        output.result(conflicts, () => listText(conflicts));
      }),
    );
}

function listText(conflicts: readonly ConflictView[]): string {
  if (conflicts.length === 0) return 'no conflicts';
  const columns = ['id', 'committed', 'table', 'kind', 'before', 'after', 'source', 'why'];
  return textTable(
    columns.map((title) => ({ title })),
    conflicts.map(({ id, committedAtMs, table, kind, before, after, source, reason }) => [
      String(id),
      formatTime(committedAtMs),
      table,
      kind,
      cell(before),
      cell(after),
      source.map(({ row }) => cell(row)).join(' '),
      reason,
    ]),
  );
}

function cell(image: StrayImage | null): string {
  const text = image === null ? '-' : JSON.stringify(image);
  return text.length <= CELL_MAX ? text : `${text.slice(0, CELL_MAX - 1)}…`;
}
