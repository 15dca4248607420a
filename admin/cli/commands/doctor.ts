import type { Command } from 'commander';
import type { DoctorReport } from '../../../engine/doctor/doctor-report.ts';
import { apiCommand, withApi } from '../api-command.ts';
import { ReportedFailure } from '../failure.ts';
import { printable } from '../text-table.ts';

export function addDoctor(program: Command): void {
  apiCommand(program, 'doctor <id>', 'what is wrong with an import, its route, its proxies and its servers')
    .option('--repair', 'repair what can be repaired without a decision')
    .action(async (id: string, { repair = false }: { repair?: boolean }, command: Command) =>
      withApi(command, async ({ client, output }) => {
        const report = repair ? await client.repair(id) : await client.doctor(id);
        output.result(report, () => reportText(report));
        if (!report.healthy) throw new ReportedFailure();
      }),
    );
}

function reportText(report: DoctorReport): string {
  const { findings } = report;
  return [...stateLines(report), '', ...(findings.length === 0 ? ['nothing is wrong'] : findings.flatMap(findingLines))]
    .map(printable)
    .join('\n');
}

function stateLines({
  importId,
  phase,
  route,
  intent,
  fence,
  leftFence,
  busyWith,
  servers,
  ...rest
}: DoctorReport): string[] {
  const held = route.hold === 'none' ? '' : `, ${route.hold} held${route.fenced ? ' and sealed' : ''}`;
  return [
    `${importId}: ${phase}${busyWith === null ? '' : `, busy with: ${busyWith}`}`,
    `route: primary on ${route.primary}, replica on ${route.replica}, epoch ${route.epoch}${held}`,
    `switch under way: ${intent === null ? 'none' : `${intent.kind} to the ${intent.to} (${intent.switchId})`}`,
    `fence: ${fence === null ? 'none' : `${fence.kind} on the ${fence.side}`}${
      leftFence === null ? '' : `; left behind: ${leftFence.kind} on the ${leftFence.side}`
    }`,
    ...(servers === null ? ['servers: not looked at, the credentials are erased'] : serverLines(servers)),
    `streams: ${rest.streams.map(({ direction, state }) => `${direction} ${state}`).join(', ') || 'none'}`,
    `proxies: ${rest.proxies.map(({ epoch, sessions }) => `epoch ${epoch} with ${sessions} sessions`).join(', ') || 'none'}`,
  ];
}

function serverLines(servers: NonNullable<DoctorReport['servers']>): string[] {
  return (['source', 'target'] as const).map((side) => {
    const { answers, reason, readOnly, fenceTriggers, lockedAccounts, progress } = servers[side];
    if (!answers) return `${side}: ${reason ?? 'no answer'}`;
    const fences = [
      ...(readOnly ? ['read_only'] : []),
      ...(fenceTriggers.length > 0 ? [`${fenceTriggers.length} fence triggers`] : []),
      ...(lockedAccounts.length > 0 ? [`locked: ${lockedAccounts.join(', ')}`] : []),
    ];
    const rows = progress.map(({ direction }) => direction).join(', ');
    return `${side}: answers; ${fences.join(', ') || 'accepts writes'}; progress rows: ${rows || 'none'}`;
  });
}

function findingLines({
  code,
  severity,
  outcome,
  message,
  meaning,
  remedy,
  repair,
}: DoctorReport['findings'][number]): string[] {
  const done = outcome === 'found' ? '' : ` (${outcome})`;
  return [
    `${severity} ${code}${done}: ${message}`,
    `  ${meaning}`,
    ...(outcome === 'repaired' ? [] : [`  ${remedy}`]),
    ...(outcome === 'found' && repair !== null ? [`  --repair would: ${repair}`] : []),
  ];
}
