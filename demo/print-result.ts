import { percentile } from '../bench/percentile.ts';
import type { DemoResult } from './auto.ts';

/** What happened, in words; and what was not as it must be, empty when all is well. */
export function resultText({ copy, lagsMs, verify, switches, finalPhase, stats, errors, ledger }: DemoResult): string {
  const count = (value: number) => value.toLocaleString('en');
  const copyMs = copy.startedAtMs === null || copy.finishedAtMs === null ? null : copy.finishedAtMs - copy.startedAtMs;
  const rate = copyMs === null ? '?' : count(Math.round((copy.rows / Math.max(1, copyMs)) * 1000));
  const lag = (fraction: number) => `${Math.round(percentile(lagsMs, fraction))} ms`;
  return [
    '',
    `copied         ${count(copy.rows)} rows in ${copyMs === null ? '?' : (copyMs / 1000).toFixed(1)} s, ${rate} rows/s`,
    `lag            median ${lag(0.5)}, longest ${lag(1)}`,
    `verification   ${verify?.state ?? 'none'}, ${count(verify?.rows ?? 0)} rows compared`,
    ...switches.map(
      ({ name, pauseMs, clientPauseMs, fence }) =>
        `switch         ${name}: pause ${pauseMs === null ? '?' : Math.round(pauseMs)} ms, longest wait of a client ${Math.round(clientPauseMs)} ms, fence ${fence}`,
    ),
    `phase          ${finalPhase}`,
    `traffic        ${count(stats.operations)} operations, ${stats.clientErrors} client errors, ${stats.wrongAnswers} wrong answers`,
    `ledger         ${count(ledger.acknowledged)} acknowledged writes checked: ${ledger.lost} lost, ${ledger.duplicated} duplicated, ${ledger.foreign} foreign, ${ledger.unknown} unknown`,
    ...errors
      .slice(0, 10)
      .map(({ session, operation, message }) => `client error   session ${session}, ${operation}: ${message}`),
  ].join('\n');
}

export function faultsOf({ verify, switches, finalPhase, stats, ledger }: DemoResult): string[] {
  const faults = [
    verify?.state === 'equal' ? '' : `verification is ${verify?.state ?? 'missing'}`,
    ...switches.map(({ name, switched }) => (switched ? '' : `${name} was not switched`)),
    finalPhase === 'completed' ? '' : `the import ended in phase ${finalPhase}`,
    stats.clientErrors === 0 ? '' : `${stats.clientErrors} client errors`,
    ledger.exact
      ? ''
      : `the ledger is not exact: ${ledger.lost} lost (${ledger.lostExamples.join(', ')}), balance off by ${ledger.balanceOff}`,
  ];
  return faults.filter((fault) => fault !== '');
}
