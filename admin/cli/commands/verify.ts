import type { Command } from 'commander';
import { AppError } from '../../../core/errors.ts';
import type { VerifyRepairReport } from '../../../engine/api.ts';
import { apiCommand, withApi } from '../api-command.ts';
import { assertNoError } from '../assert-no-error.ts';
import { followImport } from '../follow-import.ts';
import { formatCount } from '../format.ts';
import { integerOption } from '../integer-option.ts';
import { verifyText } from '../print-import.ts';
import { ReportedFailure } from '../failure.ts';
import { isVerifying } from '../progress.ts';
import { ProgressDisplay } from '../progress-display.ts';
import { textTable } from '../text-table.ts';

interface VerifyOptions {
  wait: boolean;
  pause?: true;
  resume?: true;
  repair?: true;
  rowsPerSecond?: number;
}

export function addVerify(program: Command): void {
  apiCommand(program, 'verify <id>', 'compare every row of source and target, while writes go on; the primary is right')
    .option('--rows-per-second <count>', 'compare at most so many', integerOption)
    .option('--pause', 'pause the one that runs; what is compared stays compared')
    .option('--resume', 'go on with one that was paused, or failed on its way')
    .option('--repair', 'write the rows that differ to the other side as they are on the primary')
    .option('--no-wait', 'only start it')
    .action(async (id: string, { wait, pause, resume, repair, rowsPerSecond }: VerifyOptions, command: Command) =>
      withApi(command, async ({ client, output }) => {
        if (pause === true) {
          const { verify } = await client.pauseVerification(id);
          output.result(verify, () => verifyText({ verify }));
          return;
        }
        if (repair === true) {
          const report = await client.repairDifferences(id);
          output.result(report, () => repairText(report));
          if (report.left.length > 0) throw new ReportedFailure();
          return;
        }
        const started = await (resume === true
          ? client.resumeVerification(id)
          : client.verify(id, rowsPerSecond === undefined ? {} : { rowsPerSecond }));
        if (!wait) {
          output.result(started, () => `${id}: ${started.phase}`);
          return;
        }
        const display = new ProgressDisplay({ silent: output.json });
        const view = await followImport(client, id, {
          onView: (now) => display.show(now),
          done: (now) => !isVerifying(now) && now.verify?.state !== 'rechecking',
        });
        output.result(view.verify, () => verifyText(view));
        assertNoError(view);
        if (view.verify?.state === 'equal') return;
        // By somebody else, who knows.
        if (view.verify?.state === 'paused') throw new ReportedFailure();
        const different = view.verify?.tables.filter(({ differencesTotal }) => differencesTotal > 0) ?? [];
        const rows = different.reduce((sum, { differencesTotal }) => sum + differencesTotal, 0);
        throw new AppError(
          'VERIFY_DIFFERENT',
          `${formatCount(rows)} rows differ in ${different.map(({ name }) => name).join(', ') || 'no table'}; the verification is ${view.verify?.state ?? 'missing'}`,
        );
      }),
    );
}

function repairText({ repaired, already, left, view }: VerifyRepairReport): string {
  const head = `${formatCount(repaired)} rows repaired, ${formatCount(already)} were the same already, ${formatCount(left.length)} are left; the verification is ${view.verify?.state ?? 'missing'}`;
  if (left.length === 0) return head;
  const titles = ['table', 'key', 'reason'].map((title) => ({ title }));
  const rows = left.map(({ table, key, reason }) => [table, key, reason]);
  return `${head}\n${textTable(titles, rows)}`;
}
