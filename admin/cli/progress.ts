import type { ImportView } from '../../engine/api.ts';
import { formatCount, formatDuration, formatPercent } from './format.ts';
import { lagText } from './print-import.ts';
import { printable } from './text-table.ts';

const BAR_WIDTH = 24;

export interface FrameOptions {
  columns: number;
  rows: number;
  /** Of the whole copy. */
  etaMs: number | null;
}

interface Item {
  name: string;
  done: number;
  total: number;
  active: boolean;
  finished: boolean;
  note: string;
}

/** What is being worked on: tables of the copy, or of a verification under way. */
function itemsOf(view: ImportView): Item[] {
  if (isVerifying(view) && view.verify !== null) {
    return view.verify.tables.map(({ name, state, chunksDone, chunksTotal, rows }) => ({
      name,
      done: chunksDone,
      total: chunksTotal,
      active: state === 'verifying',
      finished: state === 'equal' || state === 'different',
      note: state === 'different' ? 'DIFFERENT' : `${formatCount(rows)} rows`,
    }));
  }
  return view.tables.map(({ name, state, rowsCopied, rowsTotal, etaMs }) => ({
    name,
    done: rowsCopied,
    total: rowsTotal,
    active: state === 'copying' || state === 'indexing',
    finished: state === 'copied',
    note: `${formatCount(rowsCopied)} / ${formatCount(rowsTotal)}${state === 'indexing' ? '  indexing' : ''}${etaMs === null ? '' : `  ETA ${formatDuration(etaMs)}`}`,
  }));
}

/** One line for a log file. */
export function progressLine(view: ImportView, etaMs: number | null): string {
  const items = itemsOf(view);
  const finished = items.filter((item) => item.finished).length;
  const parts = [view.id, view.phase];
  if (isWorking(view)) {
    parts.push(...totals(view, items), `${finished}/${items.length} tables`);
    const left = isVerifying(view) ? (view.verify?.etaMs ?? null) : etaMs;
    if (view.phase !== 'pending') parts.push(`ETA ${left === null ? '-' : formatDuration(left)}`);
    if (isVerifying(view) && view.verify?.throttled != null) parts.push(`waits: ${view.verify.throttled}`);
  }
  if (view.error !== null) parts.push(`${view.error.code}: ${view.error.message}`);
  return printable([...parts, `lag ${lagText(view)}`].join('  '));
}

/** Lines for a terminal of that size: finished and waiting tables are summed up, so that what moves stays in sight. */
export function progressFrame(view: ImportView, { columns, rows, etaMs }: FrameOptions): string[] {
  const items = itemsOf(view);
  const lines = [progressLine(view, etaMs)];
  if (isWorking(view)) {
    const room = Math.max(1, rows - 4);
    const active = items.filter(({ active }) => active);
    const rest = items.filter(({ active }) => !active);
    const shown =
      items.length <= room ? items : [...active, ...rest.filter(({ finished }) => !finished)].slice(0, room);
    const width = Math.max(...shown.map(({ name }) => name.length), 0);
    lines.push(...shown.map((item) => `  ${printable(item.name).padEnd(width)}  ${bar(item)}  ${item.note}`));
    if (shown.length < items.length) lines.push(`  … and ${items.length - shown.length} more tables`);
  }
  return lines.map((line) => line.slice(0, Math.max(20, columns - 1)));
}

/** Before the first switch it has a phase of its own, behind it none. */
export function isVerifying({ phase, verify }: ImportView): boolean {
  const isWithin = phase === 'switched_replicas' || phase === 'switched_primaries';
  return phase === 'verifying_data' || (isWithin && verify?.state === 'running');
}

function isWorking(view: ImportView): boolean {
  return view.phase === 'pending' || view.phase === 'copying' || isVerifying(view);
}

function totals(view: ImportView, items: readonly Item[]): string[] {
  const done = items.reduce((sum, item) => sum + item.done, 0);
  const total = items.reduce((sum, item) => sum + item.total, 0);
  const rows = isVerifying(view)
    ? `${formatCount(view.verify?.rows ?? 0)} rows`
    : `${formatCount(done)} / ${formatCount(total)} rows`;
  return [rows, formatPercent(done, total)];
}

function bar({ done, total, finished }: Item): string {
  const share = finished || total === 0 ? (finished ? 1 : 0) : Math.min(1, done / total);
  const full = Math.floor(share * BAR_WIDTH);
  return `${'█'.repeat(full)}${'░'.repeat(BAR_WIDTH - full)} ${(share * 100).toFixed(0).padStart(3)}%`;
}
