import type { Side } from '../../core/phase.ts';
import type { Finding, ImportView, VerifyDifferenceView, VerifyRecheckView } from '../../engine/api.ts';
import { formatBytes, formatCount, formatDuration, formatPercent, formatTime } from './format.ts';
import { printable, textTable } from './text-table.ts';

export function importListText(views: readonly ImportView[]): string {
  if (views.length === 0) return 'no imports';
  return textTable(
    [
      { title: 'id' },
      { title: 'phase' },
      { title: 'database' },
      { title: 'source' },
      { title: 'target' },
      { title: 'primary' },
      { title: 'lag', align: 'right' },
      { title: 'created' },
      { title: 'by' },
    ],
    views.map((view) => [
      view.id,
      view.phase,
      view.database,
      `${view.source.host}:${view.source.port}`,
      `${view.target.host}:${view.target.port}`,
      view.traffic.primary,
      lagText(view),
      formatTime(view.createdAtMs),
      view.createdBy,
    ]),
  );
}

/** The lag of the stream that follows the primary. */
export function lagText(view: ImportView): string {
  const direction = view.traffic.primary === 'source' ? 'forward' : 'reverse';
  const lagMs = view.streams.find((stream) => stream.direction === direction)?.lagMs ?? null;
  return lagMs === null ? '-' : formatDuration(lagMs);
}

export function importText(view: ImportView): string {
  const parts = [overview(view), tablesText(view), streamsText(view), verifyText(view), switchesText(view)];
  if (view.findings.length > 0) parts.push(findingsText(view.findings));
  return parts.filter((part) => part !== '').join('\n\n');
}

function overview(view: ImportView): string {
  const rows: [string, string][] = [
    ['import', view.id],
    ['phase', view.phase],
    ['database', view.database],
    ['source', serverText(view.source)],
    ['target', serverText(view.target)],
    ['replica host', view.replicaHost === null ? '-' : `${view.replicaHost.host}:${view.replicaHost.port}`],
    ['traffic', `primary on ${view.traffic.primary}, replica on ${view.traffic.replica} (epoch ${view.traffic.epoch})`],
    ['lag', lagText(view)],
    ['copied', `${formatCount(view.copy.rows)} rows, ${formatBytes(view.copy.bytes)}`],
    ['created', `${formatTime(view.createdAtMs)} by ${view.createdBy}`],
  ];
  if (view.strayWrites !== null && (view.strayWrites.count > 0 || view.strayWrites.watch === 'failed')) {
    const { count, unapplied, watch } = view.strayWrites;
    rows.push(['stray writes', `${formatCount(count)}, ${formatCount(unapplied)} not applied (${watch})`]);
  }
  if (view.conflicts !== null && view.conflicts.count > 0)
    rows.push(['conflicts', `${formatCount(view.conflicts.count)} row changes of the target lost against the source`]);
  if (view.error !== null) {
    rows.push(
      ['error', `${view.error.code}: ${view.error.message} (from ${view.error.fromPhase})`],
      ['what to do', view.error.remedy],
    );
  }
  return rows.map(([name, value]) => `${`${name}:`.padEnd(14)}${printable(value)}`).join('\n');
}

function serverText({ host, port, facts }: ImportView['source']): string {
  return `${host}:${port}${facts === null ? '' : ` (${facts.flavor} ${facts.version})`}`;
}

function tablesText(view: ImportView): string {
  if (view.tables.length === 0) return '';
  return textTable(
    [
      { title: 'table' },
      { title: 'state' },
      { title: 'rows', align: 'right' },
      { title: 'of', align: 'right' },
      { title: 'done', align: 'right' },
      { title: 'eta', align: 'right' },
    ],
    view.tables.map(({ name, state, rowsCopied, rowsTotal, etaMs }) => [
      name,
      state,
      formatCount(rowsCopied),
      formatCount(rowsTotal),
      state === 'copied' ? '100.0%' : formatPercent(rowsCopied, rowsTotal),
      etaMs === null || state === 'copied' ? '-' : formatDuration(etaMs),
    ]),
  );
}

function streamsText(view: ImportView): string {
  if (view.streams.length === 0) return '';
  return textTable(
    [
      { title: 'stream' },
      { title: 'state' },
      { title: 'lag', align: 'right' },
      { title: 'transactions', align: 'right' },
      { title: 'row changes', align: 'right' },
      { title: 'position' },
    ],
    view.streams.map((stream) => [
      stream.direction,
      stream.state,
      stream.lagMs === null ? '-' : formatDuration(stream.lagMs),
      formatCount(stream.transactionsApplied),
      formatCount(stream.rowChangesApplied),
      cut(stream.position ?? '-', 60),
    ]),
  );
}

export function verifyText({ verify }: Pick<ImportView, 'verify'>): string {
  if (verify === null) return '';
  const when = verify.finishedAtMs === null ? '' : `, finished ${formatTime(verify.finishedAtMs)}`;
  const differing = verify.tables.filter(({ differencesTotal }) => differencesTotal > 0);
  const lines = [
    `verification: ${verify.state}, ${formatCount(verify.rows)} rows in ${verify.tables.length} tables${when}`,
    ...(verify.primary === 'source' ? [] : ['  the target is primary: the source is compared with it']),
    ...(verify.etaMs === null ? [] : [`  ETA ${formatDuration(verify.etaMs)}`]),
    ...(verify.throttled === null ? [] : [`  nothing is compared for now: ${printable(verify.throttled)}`]),
    ...(verify.reason === null ? [] : [`  ${printable(verify.reason)}`]),
    ...(verify.recheck === null ? [] : [`  ${recheckText(verify.recheck, verify.primary)}`]),
  ];
  if (differing.length === 0) return lines.join('\n');
  const rows = differing.flatMap(({ name, differences, differencesTotal }) => [
    ...differences.flatMap((difference) => differenceRows(name, difference)),
    ...(differencesTotal > differences.length
      ? [[name, '…', `${formatCount(differencesTotal - differences.length)} more`, '', '', '']]
      : []),
  ]);
  const titles = ['table', 'difference', 'key', 'column', 'source', 'target'];
  lines.push(
    textTable(
      titles.map((title) => ({ title })),
      rows,
    ),
  );
  return lines.join('\n');
}

/** A line for each column that differs, or one for a row that is on one side only. */
function differenceRows(table: string, { key, kind, columns, values }: VerifyDifferenceView): string[][] {
  const row = (column: string, source: string, target: string) => [
    table,
    kind,
    cut(key, 40),
    cut(column, 40),
    cut(source, 66),
    cut(target, 66),
  ];
  if (kind === 'different' && values.length > 0)
    return values.map(({ column, source, target }) => row(column, source ?? '', target ?? ''));
  const side = (of: 'source' | 'target') => values.map((value) => `${value.column}=${value[of] ?? ''}`).join(' ');
  return [row(columns.join(', '), kind === 'missing' ? side('source') : '', kind === 'extra' ? side('target') : '')];
}

function recheckText({ keys, tables, behindMs, compared }: VerifyRecheckView, primary: Side): string {
  const whole = tables.length === 0 ? '' : ` and all of ${tables.join(', ')}`;
  const behind = behindMs === null ? '' : `, the oldest since ${formatDuration(behindMs)}`;
  return `kept true: ${formatCount(compared)} rows written on the ${primary} since compared again; ${formatCount(keys)}${whole} wait${behind}`;
}

function switchesText(view: ImportView): string {
  if (view.switches.length === 0) return '';
  return textTable(
    [
      { title: 'switch' },
      { title: 'to' },
      { title: 'at' },
      { title: 'pause', align: 'right' },
      { title: 'fence' },
      { title: 'forced over' },
    ],
    view.switches.map(({ kind, to, atMs, pauseMs, fence, forced }) => [
      kind,
      to,
      formatTime(atMs),
      formatDuration(pauseMs),
      fence,
      forced.length === 0 ? '-' : forced.join(', '),
    ]),
  );
}

export function findingsText(findings: readonly Finding[]): string {
  const order = { error: 0, warning: 1, info: 2 };
  return findings
    .toSorted((left, right) => order[left.severity] - order[right.severity])
    .flatMap(({ severity, code, side, subject, message, fix, skippable }) => [
      printable(
        `${severity.padEnd(7)}  ${code}  ${side}${subject === null ? '' : `: ${subject}`}${severity === 'error' && skippable ? '  (can be skipped)' : ''}`,
      ),
      `         ${printable(message)}`,
      `         fix: ${printable(fix)}`,
    ])
    .join('\n');
}

function cut(text: string, lengthMax: number): string {
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax - 1)}…`;
}
