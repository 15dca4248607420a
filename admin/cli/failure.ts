import { AppError } from '../../core/errors.ts';
import { redactText } from '../../core/redact.ts';
import { problemOf } from '../problem.ts';
import { printable } from './text-table.ts';

export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

/** The command has already said why it failed; only the exit code is left. */
export class ReportedFailure extends Error {}

/** Writes the reason and the code to stderr; answers the exit code. */
export function reportFailure(error: unknown, { json }: { json: boolean }): number {
  if (error instanceof ReportedFailure) return EXIT_FAILED;
  if (!(error instanceof AppError)) {
    process.stderr.write(`INTERNAL: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return EXIT_FAILED;
  }
  process.stderr.write(json ? `${JSON.stringify(problemOf(error), null, 2)}\n` : `${failureText(error)}\n`);
  return error.code === 'REQUEST_INVALID' || error.code === 'CONFIG_INVALID' ? EXIT_USAGE : EXIT_FAILED;
}

/** Every reason on a line of its own: a refused switch, a failed validation. */
function failureText(error: AppError): string {
  const reasons = [
    ...refusalLines(listOf(error.details['refusals'])),
    ...listOf(error.details['findings']).flatMap(findingLines),
  ];
  const lines =
    reasons.length > 0 ? [`${error.code}: ${error.entry.meaning}`, ...reasons] : [`${error.code}: ${error.message}`];
  return [...lines.map((line) => printable(redactText(line))), `What to do: ${error.entry.remedy}`].join('\n');
}

/** What to do comes once for each code. */
export function refusalLines(refusals: readonly Record<string, unknown>[]): string[] {
  return refusals.flatMap(({ code, message, forceable, remedy }, at) => {
    const line = `  - ${String(code)}: ${String(message)}${forceable === true ? ' (can be forced)' : ''}`;
    const isLast = refusals.findLastIndex((other) => other['code'] === code) === at;
    return isLast ? [line, `    what to do: ${String(remedy)}`] : [line];
  });
}

function findingLines(finding: Record<string, unknown>): string[] {
  if (finding['severity'] !== 'error') return [];
  const subject = typeof finding['subject'] === 'string' ? ` (${finding['subject']})` : '';
  return [
    `  - ${String(finding['code'])}${subject}: ${String(finding['message'])}`,
    `    fix: ${String(finding['fix'])}`,
  ];
}

function listOf(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'object' && item !== null) : [];
}
