import { Option, type Command } from 'commander';
import { DRAIN_POLICIES, type SwitchReport, type SwitchRequest } from '../../../engine/api.ts';
import { apiCommand, withApi } from '../api-command.ts';
import { refusalLines, ReportedFailure } from '../failure.ts';
import { formatDuration } from '../format.ts';
import { integerOption } from '../integer-option.ts';

const DESCRIPTIONS: Record<SwitchRequest['kind'], string> = {
  replicas: 'switch replica traffic to the target',
  primaries: 'switch primary traffic, and replica traffic with it, to the target',
};

export function addSwitch(program: Command): void {
  const parent = program.command('switch').description('move traffic between source and target');
  for (const kind of ['replicas', 'primaries'] as const) {
    apiCommand(parent, `${kind} <id>`, DESCRIPTIONS[kind])
      .option('--back', 'back to the source')
      .option('--dry-run', 'only the checks: nothing is held, nothing changes')
      .option('--force', 'go on although there are refusals that may be forced')
      .addOption(
        new Option('--policy <policy>', "sessions that do not let go in time (the import's drainPolicy)").choices(
          DRAIN_POLICIES,
        ),
      )
      .option(
        '--drain-budget-ms <ms>',
        "longest wait for open transactions (the import's drainBudgetMs)",
        integerOption,
      )
      .option('--pause-deadline-ms <ms>', "longest pause (the import's pauseDeadlineMs)", integerOption)
      .action(
        async (
          id: string,
          {
            back = false,
            dryRun = false,
            force = false,
            policy,
            drainBudgetMs,
            pauseDeadlineMs,
          }: Partial<SwitchRequest>,
          command: Command,
        ) =>
          withApi(command, async ({ client, output }) => {
            const chosen = { policy, drainBudgetMs, pauseDeadlineMs };
            const report = await client.switchTraffic(id, { kind, back, dryRun, force, ...chosen });
            output.result(report, () => reportText(report, { kind, back, dryRun }));
            if (report.refusals.length === 0) return;
            output.note(report.switched ? 'forced over:' : 'SWITCH_REFUSED: it would be refused now, because:');
            for (const line of refusalLines(
              report.refusals.map((refusal) => ({ ...refusal, forceable: refusal.forceable && !report.switched })),
            ))
              output.note(line);
            if (!report.switched) throw new ReportedFailure();
          }),
      );
  }
}

function reportText(
  report: SwitchReport,
  { kind, back, dryRun }: Pick<SwitchRequest, 'kind' | 'back' | 'dryRun'>,
): string {
  const { traffic, phase } = report.view;
  const pause = report.pauseMs === null ? '' : `, pause ${formatDuration(report.pauseMs)}`;
  const done = `primary traffic on ${traffic.primary}, replica traffic on ${traffic.replica}${pause}, fence ${report.fence}; phase ${phase}`;
  const ready =
    report.refusals.length === 0 ? 'nothing stands against it' : `${report.refusals.length} reasons against it`;
  const planned = `dry run: switch of ${kind} to the ${back ? 'source' : 'target'}: ${ready}; fence ${report.fence}`;
  return [dryRun ? planned : done, ...report.warnings.map((warning) => `warning: ${warning}`)].join('\n');
}
