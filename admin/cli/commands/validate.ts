import type { Command } from 'commander';
import { apiCommand, withApi } from '../api-command.ts';
import { ReportedFailure } from '../failure.ts';
import { formatBytes, formatCount } from '../format.ts';
import { addImportOptions, importRequestOf } from '../import-options.ts';
import { findingsText } from '../print-import.ts';

export function addValidate(program: Command): void {
  addImportOptions(
    apiCommand(program, 'validate [id]', 'check source, target and schema without changing anything'),
  ).action(async (id: string | undefined, _options, command: Command) => {
    const request = await importRequestOf(command, id);
    // A validation has no name of its own, but the request of an import needs one.
    const named = { ...request, id: request.id ?? 'validation' };
    await withApi(command, async ({ client, output }) => {
      const report = await client.validate(named);
      output.result(report, () => {
        const rows = report.tables.reduce((sum, { rowsEstimate }) => sum + rowsEstimate, 0);
        const bytes = report.tables.reduce((sum, table) => sum + table.bytes, 0);
        const server = (facts: typeof report.source) =>
          facts === null ? 'not reached' : `${facts.flavor} ${facts.version}`;
        return [
          `source: ${server(report.source)}`,
          `target: ${server(report.target)}`,
          `tables: ${report.tables.length}, about ${formatCount(rows)} rows, ${formatBytes(bytes)}`,
          ...(report.findings.length === 0 ? [] : [findingsText(report.findings)]),
          report.ok ? 'The import can be created.' : 'The import cannot be created yet.',
        ].join('\n');
      });
      if (report.ok) return;
      const errors = report.findings.filter(({ severity }) => severity === 'error').map(({ code }) => code);
      output.note(`VALIDATION_FAILED: ${errors.join(', ')}`);
      throw new ReportedFailure();
    });
  });
}
